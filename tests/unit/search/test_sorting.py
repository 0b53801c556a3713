"""Hits in the order of a field's values, over stand-ins."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_api.errors import InvalidQuery
from ml_api.records import image_id
from ml_api.search import Arrangement, Sort
from ml_api.search.sorting import SORTED
from ml_api.vectors.filters import Field
from tests.contracts.samples import record
from tests.unit.search.shelf import Shelf, keys

PRICE, BRAND = Field(("price",)), Field(("brand",))
CHEAPEST, DEAREST = Arrangement(sort=Sort(PRICE)), Arrangement(sort=Sort(PRICE, descending=True))


def shelf_of(prices):
    """Images of these prices, each farther from the query than the one before."""
    return Shelf([record(f"{place:05}", metadata={"price": price}) for place, price in enumerate(prices)])


@pytest.mark.parametrize(
    ("prices", "cheapest", "dearest"),
    [
        ([3, 1, 2], [1, 2, 0], [0, 2, 1]),
        ([2, 1.5, 2.0, 2], [1, 0, 2, 3], [0, 2, 3, 1]),  # equal ones as they are ranked
        ([None, 1, [2], {"eur": 3}, 2], [1, 4, 0, 2, 3], [4, 1, 0, 2, 3]),
        (["b", 7, True, "a", False, 8], [1, 5, 3, 0, 4, 2], [5, 1, 0, 3, 2, 4]),
        (["2026-01-02", "2025-12-31"], [1, 0], [0, 1]),
    ],
)
def test_hits_are_in_the_order_of_their_values_and_those_without_last(prices, cheapest, dearest):
    with shelf_of(prices) as shelf:
        for arrangement, order in ((CHEAPEST, cheapest), (DEAREST, dearest)):
            assert keys(shelf.search(100, arrangement=arrangement)) == [f"{place:05}" for place in order]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(1, 7))
@settings(max_examples=10)
def test_pages_hold_every_hit_once_and_in_order(prices, limit):
    with shelf_of(prices) as shelf:
        by_offset = [key for page in shelf.pages(limit, CHEAPEST) for key in keys(page)]
        by_cursor = [key for page in shelf.pages_by_cursor(limit, CHEAPEST) for key in keys(page)]
    assert by_offset == by_cursor == [key for _, key in sorted((price, f"{place:05}") for place, price in enumerate(prices))]


def test_the_best_hits_are_sorted_and_no_others_follow():
    prices = list(range(SORTED + 30, 0, -1))
    with shelf_of(prices) as shelf:
        pages = shelf.pages_by_cursor(100, CHEAPEST)
        found = [hit.record.metadata["price"] for page in pages for hit in page.hits]
        assert found == sorted(prices[:SORTED])
        assert not shelf.search(10, SORTED, CHEAPEST).hits


def test_only_hits_that_pass_are_sorted():
    with shelf_of([5, 4, 3, 2, 1]) as shelf:
        least = round(shelf.search(5, arrangement=Arrangement()).hits[2].score, 6)
        assert keys(shelf.search(5, arrangement=CHEAPEST, score=least)) == ["00002", "00001", "00000"]


def test_of_a_group_the_hit_that_leads_it_counts():
    metadata = [("a", 5), ("b", 3), ("a", 1), ("c", 4)]
    records = [record(f"{place}", metadata={"brand": brand, "price": price}) for place, (brand, price) in enumerate(metadata)]
    with Shelf(records) as shelf:
        result = shelf.search(5, arrangement=Arrangement(BRAND, sort=Sort(PRICE)))
    assert [(row.hit.record.key, len(row.others)) for row in result.rows] == [("1", 0), ("3", 0), ("0", 1)]


def test_a_price_that_changes_between_pages_brings_no_hit_twice():
    with shelf_of([1, 2, 3, 4]) as shelf:
        first = shelf.search(2, arrangement=CHEAPEST)
        for key, price in (("00000", 9), ("00003", 0)):
            id_ = image_id(key)
            shelf.store.upsert([record(key, metadata={"price": price})], shelf.store.vectors([id_])[id_][None])
        assert keys(shelf.search(5, arrangement=CHEAPEST, cursor=first.next_cursor)) == ["00003", "00002"]


def test_a_field_that_no_image_has_is_an_error():
    with shelf_of([1]) as shelf, pytest.raises(InvalidQuery, match=r"sort: no image .* 'prcie'; the fields are price"):
        shelf.search(1, arrangement=Arrangement(sort=Sort(Field(("prcie",)))))
