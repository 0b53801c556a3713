"""Pages of rankings that are grouped or put in another order, over stand-ins."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_api.errors import InvalidQuery
from ml_api.records import image_id
from ml_api.search import Arrangement, Query, StoredTerm, TextTerm
from ml_api.search.facets import COUNTED_HITS, MAX_VALUES
from ml_api.search.grouping import DUPLICATES, MAX_READ, READ_AT_ONCE
from ml_api.vectors.base import SearchOptions
from ml_api.vectors.filters import Field, parse
from tests.contracts.samples import record
from tests.unit.search.shelf import GROUPED, Shelf, keys

BRAND = Field(("brand",))


def shelf_of(digests, **metadata):
    """Images whose files have these digests, which are letters."""
    return Shelf([record(f"{place:05}", digest=digest * 64, metadata=metadata) for place, digest in enumerate(digests)])


def groups(results):
    return [(row.hit.record.key, *(one.record.key for one in row.others)) for result in results for row in result.rows]


@given(st.text("abcdef0123", min_size=1, max_size=40), st.integers(1, 12))
@settings(max_examples=15)
def test_pages_hold_every_group_once_and_in_the_order_of_the_ranking(digests, limit):
    with shelf_of(digests) as shelf:
        results = shelf.pages(limit)
        assert groups(shelf.pages_by_cursor(limit)) == groups(results)
    found = groups(results)
    leaders = [f"{digests.index(digest):05}" for digest in dict.fromkeys(digests)]
    assert [group[0] for group in found] == leaders
    assert len({key for group in found for key in group}) == sum(len(group) for group in found)
    assert all(len(one.hits) == limit for one in results[:-1])
    assert all({digests[int(key)] for key in group} == {digests[int(group[0])]} for group in found)


@given(st.text("abcdef0123", min_size=1, max_size=40))
@settings(max_examples=10)
def test_no_image_is_lost(digests):
    with shelf_of(digests) as shelf:
        [result] = shelf.pages(100)
    assert sorted(key for group in groups([result]) for key in group) == [f"{place:05}" for place in range(len(digests))]


@given(st.integers(1, 10), st.integers(1, 6), st.integers(0, 12))
@settings(max_examples=12)
def test_where_nothing_is_alike_grouping_changes_nothing(count, limit, offset):
    with shelf_of("0123456789"[:count]) as shelf:
        plain, grouped = (shelf.search(limit, offset, arrangement) for arrangement in (Arrangement(), GROUPED))
    assert (grouped.hits, grouped.more) == (plain.hits, plain.more)
    assert not any(row.others for row in (*grouped.rows, *plain.rows))


def test_a_page_takes_one_call_of_the_store_unless_copies_fill_it():
    with shelf_of("aabbccddee") as shelf:
        assert len(shelf.search(4).hits) == 4
        assert (shelf.store.searches, shelf.store.lookups) == (1, 0)
    with shelf_of("a" * (READ_AT_ONCE + 50) + "bcd") as shelf:
        result = shelf.search(3)
        assert keys(result) == ["00000", "00818", "00819"]
        assert (result.more, len(result.rows[0].others), shelf.store.searches) == (True, READ_AT_ONCE + 49, 3)


def test_a_group_that_was_shown_does_not_come_again_behind_a_better_copy():
    with shelf_of("aabbcc") as shelf:
        first = shelf.search(2)
        best = shelf.store.vectors([image_id("00000")])[image_id("00000")]
        shelf.store.delete([image_id("00003")])
        shelf.store.upsert([record("new", digest="b" * 64)], best[None])
        assert groups([first, shelf.search(2, cursor=first.next_cursor)]) == [
            ("00000", "00001"),
            ("00002", "00003"),
            ("00004", "00005"),
        ]


@pytest.mark.parametrize("arrangement", [GROUPED, Arrangement(diversity=0.5), Arrangement(DUPLICATES, 0.5)])
def test_cursors_lead_to_every_group_past_those_that_they_remember(arrangement):
    digests = [f"{place - place % 3 // 2:064}" for place in range(900)]  # every third is a copy of the one before
    with Shelf([record(f"{place:05}", digest=digest) for place, digest in enumerate(digests)]) as shelf:
        results = shelf.pages_by_cursor(100, arrangement)
        expected = 600 if arrangement.group else 900
        assert [len(one.hits) for one in results] == [100] * (expected // 100)
        assert len({key for one in results for key in keys(one)}) == expected


def test_a_ranking_of_copies_ends_somewhere():
    with shelf_of("a" * (MAX_READ + 1) + "b") as shelf:
        result = shelf.search(2)
        assert (keys(result), result.more, len(result.rows[0].others)) == (["00000"], False, MAX_READ - 1)


def test_what_a_threshold_leaves_out_is_in_no_group_and_not_read_for():
    with shelf_of("a" * 40 + "b") as shelf:
        least = shelf.search(40, arrangement=Arrangement()).hits[3].score
        shelf.store.searches = 0
        result = shelf.search(2, score=round(least, 6))
        assert (keys(result), result.more, len(result.rows[0].others), shelf.store.searches) == (["00000"], False, 3, 1)


def test_the_image_that_is_searched_for_is_in_no_group():
    with shelf_of("aaab") as shelf:
        assert sorted(groups([shelf.search(5, term=StoredTerm(image_id("00001")))])[0]) == ["00000", "00002"]


def test_images_of_one_value_of_a_field_are_a_group():
    records = [record(f"{place}", metadata={"brand": brand}) for place, brand in enumerate("abacbd")]
    with Shelf(records) as shelf:
        assert groups(shelf.pages(3, Arrangement(BRAND))) == [("0", "2"), ("1", "4"), ("3",), ("5",)]
        with pytest.raises(InvalidQuery, match="group: no image is known to have the field 'bradn'; the fields are brand"):
            shelf.search(3, arrangement=Arrangement(Field(("bradn",))))


@given(st.floats(0.01, 1), st.integers(1, 7))
@settings(max_examples=10)
def test_diversity_shows_the_same_hits_in_another_order_page_by_page(diversity, limit):
    with shelf_of("0123456789abcdef") as shelf:
        ranked = keys(shelf.search(100, arrangement=Arrangement()))
        found = [key for page in shelf.pages(limit, Arrangement(diversity=diversity)) for key in keys(page)]
        by_cursor = [key for page in shelf.pages_by_cursor(limit, Arrangement(diversity=diversity)) for key in keys(page)]
    assert sorted(found) == ranked
    assert found[0] == ranked[0]
    assert by_cursor == found


def test_diversity_and_groups_go_together():
    with shelf_of("aabbccddeeff") as shelf:
        result = shelf.search(6, arrangement=Arrangement(DUPLICATES, diversity=0.9))
    assert sorted(keys(result)) == ["00000", "00002", "00004", "00006", "00008", "00010"]
    assert keys(result)[:2] == ["00000", "00010"]
    assert {len(row.others) for row in result.rows} == {1}


def test_values_are_counted_over_the_best_hits_whatever_the_page():
    records = [
        record(f"{place:05}", metadata={"brand": "even" if place % 2 == 0 else "odd", "tags": ["x", "x", place % 3]})
        for place in range(COUNTED_HITS + 20)
    ]
    with Shelf(records) as shelf:
        wanted = Arrangement(facets=(BRAND, Field(("tags",))))
        first, later = shelf.search(10, 0, wanted), shelf.search(10, 150, wanted)
        assert first.facets == later.facets
        assert first.facets.over == COUNTED_HITS
        assert first.facets.fields["brand"] == [("even", COUNTED_HITS // 2), ("odd", COUNTED_HITS // 2)]
        assert first.facets.fields["tags"] == [("x", COUNTED_HITS), (0, 67), (1, 67), (2, 66)]
        plain = shelf.search(10, 150, Arrangement())
        assert (later.hits, later.more) == (plain.hits, plain.more)
        assert shelf.store.searches == 4


def test_the_most_frequent_values_are_told_and_long_texts_are_none():
    records = [record(f"{place}", metadata={"brand": f"{place % 30:02}", "text": "long" * 30}) for place in range(61)]
    with Shelf(records) as shelf:
        facets = shelf.search(1, 0, Arrangement(facets=(BRAND, Field(("text",))))).facets
    assert facets.fields["text"] == []
    assert facets.fields["brand"] == [("00", 3), *((f"{number:02}", 2) for number in range(1, MAX_VALUES))]


def test_of_groups_each_counts_once():
    """So that the counts beside a page of products are of products."""
    metadata = [("a", 1, "new"), ("a", 1, "old"), ("b", 1, "old"), ("c", 9, "old")]
    records = [
        record(f"{place}", metadata={"brand": brand, "price": price, "state": state})
        for place, (brand, price, state) in enumerate(metadata)
    ]
    with Shelf(records) as shelf:
        facets = shelf.search(1, 0, Arrangement(BRAND, facets=(Field(("price",)), Field(("state",))))).facets
    assert facets.over == 3
    assert facets.fields == {"price": [(1, 2), (9, 1)], "state": [("old", 3), ("new", 1)]}
    assert [one.count for one in facets.numbers["price"].ranges] == [2, 1]


def test_every_range_is_a_filter_that_finds_what_it_counts():
    """Numbers in lists had ranges, too, which found nothing."""
    values = [1, 2.5, [3, 4], "5", True, None, 7, 7, -8, 2**53 + 1]
    with Shelf([record(f"{place}", metadata={"size": value}) for place, value in enumerate(values)]) as shelf:
        numbers = shelf.search(1, 0, Arrangement(facets=(Field(("size",)),))).facets.numbers["size"]
        for wanted in numbers.ranges:
            bounds = {name: bound for name, bound in (("gte", wanted.gte), ("lt", wanted.lt)) if bound is not None}
            assert len(shelf.search(20, 0, Arrangement(), filter=parse({"size": bounds})).hits) == wanted.count
        assert (numbers.least, sum(one.count for one in numbers.ranges)) == (-8, 6)


def test_numbers_in_lists_have_no_ranges():
    with Shelf([record("a", metadata={"sizes": [38, 39]})]) as shelf:
        facets = shelf.search(1, 0, Arrangement(facets=(Field(("sizes",)),))).facets
    assert (facets.fields, facets.numbers) == ({"sizes": [(38, 1), (39, 1)]}, {})


def test_only_hits_that_pass_are_counted():
    with shelf_of("abcdefgh", brand="x") as shelf:
        least = shelf.search(8, arrangement=Arrangement()).hits[2].score
        facets = shelf.search(8, 0, Arrangement(facets=(BRAND,)), score=round(least, 6)).facets
    assert (facets.over, facets.fields) == (3, {"brand": [("x", 3)]})


def test_a_field_that_no_image_has_is_an_error_and_one_that_no_hit_has_is_empty():
    records = [record("a", metadata={"brand": "x"}), record("b", metadata={"price": 3})]
    with Shelf(records) as shelf:
        with pytest.raises(InvalidQuery, match=r"facets\[1\]: no image .* 'prcie'; the fields are brand, price"):
            shelf.search(1, 0, Arrangement(facets=(BRAND, Field(("prcie",)))))
        facets = shelf.search(1, 0, Arrangement(facets=(Field(("price",)),)), term=StoredTerm(image_id("b"))).facets
        assert (facets.over, facets.fields) == (1, {"price": []})


def test_pages_of_a_query_are_equal_to_those_of_an_equal_query():
    query = Query.of(TextTerm("red"), SearchOptions(3))
    assert replace(query, arrangement=Arrangement()) == query
    assert replace(query, arrangement=GROUPED) != query
