"""Filtered searches and listings: on every store the rows are those that the predicate says, whatever filter and metadata."""

import json
import sys

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ml_api.errors import InvalidQuery
from ml_api.records import image_id
from ml_api.vectors.base import SearchOptions
from ml_api.vectors.filters import All, Condition, Either, Field, Negation, holds, parse, plain
from ml_api.vectors.filters.predicate import scalar
from ml_api.vectors.milvus.filtered import ServerFilter
from tests.contracts.samples import DIM, MODEL, axis, record, unit_vectors

FARTHEST = sys.float_info.max
NAMES = st.sampled_from(["price", "tags", "maker", "a b", 'q"uo\\te', "é", "dc.title", "or", "", "a][b", "x]", "\n", "$edited2"])
TEXTS = st.one_of(
    st.sampled_from(
        ["", "red", "re", "red ", "r%", "r_d", 'a"b', "a'b", "a\\", "a\\b", "a\nb", "a\0b", "é", "e\u0301", "😀", "\u2028"]
    ),
    st.text(st.characters(codec="utf-8"), max_size=4),
)
NUMBERS = st.one_of(
    st.sampled_from(
        [
            0,
            -0.0,
            1,
            1.0,
            5,
            5.5,
            -5,
            0.1,
            1e-7,
            2**53,
            2**53 + 1,
            float(2**53),
            2**63 - 1,
            -(2**63),
            1e308,
            5e-324,
            FARTHEST,
            -FARTHEST,
        ]
    ),
    st.integers(-10, 10),
    st.floats(-10, 10),
)
SCALARS = st.one_of(TEXTS, NUMBERS, st.booleans())
VALUES = st.recursive(
    st.one_of(SCALARS, st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=2)),
    max_leaves=4,
)
METADATA = st.dictionaries(NAMES, VALUES, max_size=4)

FIELDS = st.one_of(
    st.lists(NAMES, min_size=1, max_size=2).map(lambda path: Field(tuple(path))),
    st.just(Field(("price",))),
    st.just(Field(("maker",))),
    st.just(Field(("tags",))),
)


def scalars(values, most):
    return st.lists(values, min_size=1, max_size=most).map(lambda some: tuple(map(scalar, some)))


CONDITIONS = st.one_of(
    st.builds(Condition, FIELDS, st.just("exists")),
    st.builds(Condition, FIELDS, st.just("eq"), scalars(SCALARS, 1)),
    st.builds(Condition, FIELDS, st.sampled_from(["in", "any", "all"]), scalars(SCALARS, 4)),
    st.builds(Condition, FIELDS, st.sampled_from(["lt", "lte", "gt", "gte"]), scalars(st.one_of(TEXTS, NUMBERS), 1)),
    st.builds(Condition, FIELDS, st.just("prefix"), scalars(TEXTS, 1)),
    st.builds(Condition, st.just(Field(built_in="key")), st.sampled_from(["eq", "in", "lt", "gte", "prefix"]), scalars(TEXTS, 1)),
    st.builds(
        Condition,
        st.sampled_from([Field(built_in="width"), Field(built_in="height")]),
        st.sampled_from(["eq", "in", "lt", "lte", "gt", "gte"]),
        scalars(st.integers(0, 4), 1),
    ),
    st.builds(Condition, st.just(Field(built_in="indexed_at")), st.sampled_from(["eq", "lt", "gte"]), scalars(st.floats(0, 4), 1)),
)
FILTERS = st.recursive(
    CONDITIONS,
    lambda inner: st.one_of(
        st.builds(Negation, inner),
        st.builds(All, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(Either, st.lists(inner, min_size=1, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)

ROWS = 60


DECLARED = [Field(("price",)), Field(("maker",)), Field(("maker", "price")), Field(('q"uo\\te',)), Field(("a][b",)), Field(("",))]


@given(FILTERS)
def test_a_filter_is_read_again_from_the_json_that_it_is_written_as(chosen):
    written = json.loads(json.dumps(plain(chosen)))
    try:
        again = parse(written)
    except InvalidQuery:
        return  # nested more deeply than requests may be, as conditions side by side are written as `and`
    assert plain(again) == written


@pytest.fixture(params=["memory", "milvus-lite", "milvus", "milvus with columns"])
def filled(request, make_store):
    """A store of records whose metadata, keys and sizes hypothesis draws anew."""
    backend = request.param
    if backend == "milvus":
        store = request.getfixturevalue("store_on_server")
    elif backend == "milvus with columns":
        store = make_store("milvus", fields=DECLARED)
    else:
        store = make_store(backend)
    store.ensure(MODEL, DIM)
    return store


@settings(max_examples=2, suppress_health_check=list(HealthCheck), phases=[Phase.generate])  # shrinking takes minutes
@given(
    st.lists(st.tuples(TEXTS, METADATA), min_size=ROWS, max_size=ROWS, unique_by=lambda one: one[0]),
    st.lists(FILTERS, min_size=20, max_size=20),
)
def test_a_filter_lets_through_what_the_predicate_says(filled, rows, filters):
    store = filled
    store.delete([entry.id for entry in store.entries()])
    records = [
        record(key, metadata=metadata, width=place % 5, height=place % 3, indexed_at=place / 8)
        for place, (key, metadata) in enumerate(rows)
    ]
    store.upsert(records[: ROWS // 2], unit_vectors(ROWS // 2))
    store.flush()
    store.upsert(records[ROWS // 2 :], unit_vectors(ROWS - ROWS // 2, seed=1))
    for wanted in filters:
        right = {one.id for one in records if holds(wanted, one)}
        [hits] = store.search(axis(0), SearchOptions(ROWS + 1, filter=wanted))
        assert {hit.record.id for hit in hits} == right
        [best] = store.search(axis(0), SearchOptions(5, filter=wanted))
        assert [hit.score for hit in best] == pytest.approx([hit.score for hit in hits[:5]], abs=1e-6)
        assert {hit.record.id for hit in best} <= right
        assert [entry.id for entry in store.page("", ROWS + 1, filter=wanted)] == sorted(right)
        assert store.count(filter=wanted) == len(right)


def test_a_row_that_was_changed_counts_as_it_is_now(store):
    """Milvus Lite keeps the old row in its file, and the new one in another or in memory."""
    wanted = parse({"price": {"lt": 20}})
    store.upsert([record(key, metadata={"price": price}) for key, price in (("a", 5), ("b", 5), ("c", 50))], unit_vectors(3))
    store.flush()
    store.upsert([record("a", metadata={"price": 50}), record("c", metadata={"price": 5})], unit_vectors(2))
    assert found(store, wanted) == {"b", "c"}
    store.flush()
    assert found(store, wanted) == {"b", "c"}
    store.delete([image_id("b")])
    assert found(store, wanted) == {"c"}
    assert [entry.key for entry in store.page("", 10, filter=wanted)] == ["c"]
    assert store.page(image_id("c"), 10, filter=wanted) == []
    assert store.count(filter=wanted) == 1


def test_a_filter_goes_with_offset_exactness_and_several_queries(store):
    store.upsert([record(str(number), metadata={"odd": number % 2}) for number in range(40)], unit_vectors(40))
    odd = parse({"odd": 1})
    queries = unit_vectors(3, seed=9)
    whole = store.search(queries, SearchOptions(20, filter=odd))
    assert all(len(hits) == 20 for hits in whole)
    for options in (SearchOptions(5, 3, filter=odd), SearchOptions(5, 3, exact=True, filter=odd)):
        for hits, best in zip(store.search(queries, options), whole, strict=True):
            assert [hit.record.id for hit in hits] == [hit.record.id for hit in best[3:8]]
    assert [len(hits) for hits in store.search(queries, SearchOptions(5, 18, filter=odd))] == [2, 2, 2]


@pytest.mark.parametrize("filled", ["milvus"], indirect=True)
def test_the_widest_and_deepest_filter_is_understood_by_a_server(filled):
    filled.upsert([record("a", metadata={"x": 5})], axis(0))
    tree = {"x": 5}
    for level in range(9):
        tree = {"and" if level % 2 else "or": [tree, *({"x": number} for number in range(10))]}
    assert filled.search(axis(0), SearchOptions(1, filter=parse(tree)))
    many = parse({"or": [{"x": {"in": list(range(10, 20))}} for _ in range(99)] + [{"x": 5}]})
    assert filled.search(axis(0), SearchOptions(1, filter=many))


def found(store, wanted):
    [hits] = store.search(axis(0), SearchOptions(10, filter=wanted))
    return {hit.record.key for hit in hits}


def test_equality_is_of_a_value_or_of_an_element_of_a_list(filled):
    values = {
        "text": "red",
        "list": ["blue", "red"],
        "numbers": [5],
        "flags": [True],
        "nested": [["red"]],
        "empty": [],
        "none": None,
    }
    filled.delete([entry.id for entry in filled.entries()])
    filled.upsert([record(key, metadata={"price": value}) for key, value in values.items()], unit_vectors(len(values)))
    for asked, right in (
        ({"price": "red"}, {"text", "list"}),
        ({"price": {"in": ["red", 5]}}, {"text", "list", "numbers"}),
        ({"price": 5.0}, {"numbers"}),
        ({"price": True}, {"flags"}),
        ({"price": 1}, set()),
        ({"price": {"ne": "red"}}, {"numbers", "flags", "nested", "empty", "none"}),
    ):
        assert found(filled, parse(asked)) == right, asked


@pytest.mark.parametrize("filled", ["milvus with columns"], indirect=True)
def test_declared_fields_are_asked_in_columns_and_lists_in_the_metadata(filled):
    values = [
        5,
        5.5,
        -FARTHEST,
        2**60,
        "5",
        "",
        "t",
        "red",
        "\U0010ffff",
        True,
        False,
        None,
        ["red"],
        [5, "l"],
        [True],
        [],
        {"price": 5},
    ]
    records = [record(str(place), metadata={"price": value}) for place, value in enumerate(values)]
    records.append(record("none", metadata={"maker": {"price": 5}}))
    filled.upsert(records, unit_vectors(len(records)))
    for asked in (
        *({"price": {"eq": value}} for value in [5, 5.0, "5", "", "t", True, False]),
        *(
            {"price": {operator: bound}}
            for operator in ("lt", "lte", "gt", "gte")
            for bound in (5, -1e300, "", "red", "\U0010ffff")
        ),
        *({"price": {"prefix": text}} for text in ("", "r", "\U0010ffff", "t")),
        *({"not": {"price": {"lt": bound}}} for bound in (5, "red")),
        {"price": {"in": [5, "red", True]}},
        {"price": {"eq": "l"}},
        {"price": {"ne": "red"}},
        {"price": {"ne": 5}},
        {"price": {"any": ["red"]}},
        {"price": {"exists": True}},
        {"price": {"exists": False}},
        {"maker.price": 5},
        {"price.price": 5},
    ):
        wanted = parse(asked)
        right = {one.key for one in records if holds(wanted, one)}
        [hits] = filled.search(axis(0), SearchOptions(len(records) + 1, filter=wanted))
        assert {hit.record.key for hit in hits} == right, asked
    assert ServerFilter.of(parse({"price": {"lt": 5}}), filled._open_now()).text.startswith("(number_")
    assert "metadata" in ServerFilter.of(parse({"price": {"any": [5]}}), filled._open_now()).text


def test_a_collection_without_columns_says_what_gives_it_some(make_store, milvus_server, caplog):
    plain = make_store("milvus")
    plain.ensure(MODEL, DIM)
    plain.upsert([record("a", metadata={"price": 5}), record("b", metadata={"price": 50})], unit_vectors(2))
    store = make_store("milvus", fields=[Field(("price",))])
    with caplog.at_level("WARNING"):
        store.ensure(MODEL, DIM)
    assert "has no columns for price (ML_API_FILTER_FIELDS)" in caplog.text
    assert "`python -m ml_api migrate`" in caplog.text
    assert found(store, parse({"price": 5})) == {"a"}
    beside = store.beside(MODEL, DIM)
    for records, vectors in store.scan():
        beside.upsert(records, vectors)
    generations = store.generations()
    [made] = generations.others()
    assert (generations.current().fields, made.fields) == ((), (Field(("price",)),))
    generations.switch(made)
    beside.close()
    caplog.clear()
    again = make_store("milvus", fields=[Field(("price",))])
    with caplog.at_level("WARNING"):
        again.ensure(MODEL, DIM)
    assert not caplog.records
    assert found(again, parse({"price": 5})) == {"a"}
    undeclared = make_store("milvus")
    undeclared.ensure(MODEL, DIM)
    undeclared.upsert([record("c", metadata={"price": 5})], axis(1))  # whoever writes there fills them
    assert found(again, parse({"price": 5})) == {"a", "c"}
