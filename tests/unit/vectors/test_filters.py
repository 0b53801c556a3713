"""Filters: from JSON to what they mean, and to what a Milvus server is asked."""

import json

import pytest

from ml_api.errors import InvalidQuery
from ml_api.vectors.base import SearchOptions
from ml_api.vectors.filters import holds, parse, parse_text
from ml_api.vectors.filters.expression import Expression, expression
from ml_api.vectors.filters.parsing import field_of
from tests.contracts.samples import record

SHIRT = record(
    "shop/shirt 1.jpg",
    width=640,
    height=480,
    indexed_at=1_700_000_000.25,
    metadata={
        "price": 19.5,
        "count": 5,
        "color": "red",
        "tags": ["red", "sale", 5],
        "sold": True,
        "none": None,
        "maker": {"city": "Köln"},
        "dc.title": "Shirt",
        "width": 70,
        "or": 1,
        "a/b~c": 2,
    },
)


@pytest.mark.parametrize(
    "given",
    [
        {"price": {"lt": 20}},
        {"price": {"gte": 19.5, "lte": 19.5}},
        {"count": 5.0},
        {"count": {"in": [4, 5.0]}},
        {"color": "red", "sold": True},
        {"color": {"ne": "blue"}},
        {"color": {"gt": "orange", "lt": "ree"}},
        {"color": {"prefix": "re"}},
        {"tags": {"any": ["blue", "red"]}},
        {"tags": {"all": [5, "sale"]}},
        {"tags": "red"},
        {"tags": {"in": [5.0, "blue"]}},
        {"maker.city": "Köln"},
        {"/maker/city": {"prefix": "K"}},
        {"/dc.title": "Shirt"},
        {"/width": 70, "width": 640},
        {"/or": 1, "/a~1b~0c": 2},
        {"missing": {"ne": 5}},
        {"missing": {"exists": False}, "none": {"exists": False}, "price": {"exists": True}},
        {"not": {"missing": {"lt": 5}}},
        {"or": [{"price": {"gt": 100}}, {"color": "red"}]},
        {"and": [{"price": {"lt": 100}}, {"not": {"color": "blue"}}]},
        {"key": {"prefix": "shop/"}},
        {"indexed_at": {"gte": "2023-11-14T22:13:20.250Z", "lt": "2023-11-14T23:13:21+01:00"}},
        {"indexed_at": {"lt": 1_700_000_001}},
    ],
)
def test_a_filter_that_holds(given):
    assert holds(parse(given), SHIRT)


@pytest.mark.parametrize(
    "given",
    [
        {"price": "19.5"},
        {"count": True},
        {"sold": 1},
        {"count": {"lt": "6"}},
        {"color": {"lt": 5}},
        {"color": {"any": ["red"]}},
        {"tags": {"all": ["red", "blue"]}},
        {"tags": {"ne": "red"}},
        {"color": {"prefix": "ed"}},
        {"missing": {"lt": 5}},
        {"none": {"exists": True}},
        {"dc.title": "Shirt"},
        {"/maker/city/name": {"exists": True}},
        {"key": {"prefix": "SHOP"}},
        {"width": 70},
    ],
)
def test_a_filter_that_does_not_hold(given):
    assert not holds(parse(given), SHIRT)


def nested(levels):
    return json.loads('{"not":' * levels + '{"price": 1}' + "}" * levels)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([], "filter: must be an object of fields"),
        ("price", "filter: must be an object of fields"),
        ({"price": {}}, "filter.price: is empty"),
        ({"price": None}, 'filter.price: must be a text, a number, true or false; for what is missing ask {"exists": false}'),
        (
            {"price": [1, 2]},
            'true or false; one of several is asked for by {"in": [...]}, a range by {"gte": 20, "lt": 80} (got an array of 2)',
        ),
        ({"größe": {"jünger": 5}}, "filter.größe: 'jünger' is not an operator here"),
        ({"größe": {"any": "größe\x1b\u202e"}}, "must be an array of at least one value (got 'größe\\x1b\\u202e')"),
        ({"price": {"less": 5}}, "filter.price: 'less' is not an operator here; the operators are eq, ne, lt"),
        ({"price": {"lt": True}}, "filter.price.lt: must be a number or a text"),
        ({"price": {"eq": 2**63}}, "filter.price.eq: is an integer of more than 64 bits"),
        ({"price": {"eq": float("inf")}}, "filter.price.eq: must be a finite number"),
        ({"price": {"in": []}}, "filter.price.in: must be an array of at least one value"),
        ({"tags": {"any": "red"}}, "filter.tags.any: must be an array of at least one value (got 'red')"),
        ({"tags": {"any": [["red"]]}}, "filter.tags.any[0]: must be a text, a number"),
        ({"price": {"in": list(range(1001))}}, "filter.price.in: makes more than 1,000 values"),
        ({"name": {"prefix": 5}}, "filter.name.prefix: must be a text"),
        ({"name": "x" * 4097}, "filter.name: has 4,097 characters"),
        ({"name": "\ud800"}, "filter.name: holds a lone surrogate"),
        ({"na\ud800me": "x"}, "filter.na\\ud800me: holds a lone surrogate"),
        ({"price": {"exists": 1}}, "filter.price.exists: must be true or false"),
        ({"width": {"lt": 10.5}}, "filter.width.lt: must be a whole number of pixels"),
        ({"width": {"prefix": "1"}}, "filter.width: 'prefix' is not an operator here"),
        ({"key": 5}, "filter.key: must be a text"),
        ({"key": {"exists": True}}, "filter.key: 'exists' is not an operator here"),
        ({"indexed_at": {"lt": "yesterday"}}, "filter.indexed_at.lt: must be a time in ISO 8601"),
        ({"a..b": 1}, "filter.a..b: a name leads through objects by single dots"),
        ({".".join("abcdefghi"): 1}, "leads through 9 levels of objects; at most 8"),
        ({"or": []}, "filter.or: must be an array of at least one filter"),
        ({"or": [{"price": 1}, {}]}, "filter.or[1]: is empty"),
        ({"or": [{"price": 1}, {"price": {"lt": None}}]}, "filter.or[1].price.lt: must be"),
        ({"not": [{"price": 1}]}, "filter.not: must be an object of fields"),
        ({"or": [{"price": 1}] * 101}, "filter.or: makes more than 100 conditions"),
        (nested(10), "is nested too deeply; at most 10 levels"),
        (nested(900), "is nested too deeply; at most 10 levels"),
    ],
)
def test_what_is_no_filter_is_refused_with_its_field(given, told):
    with pytest.raises(InvalidQuery) as refused:
        parse(given)
    assert told in refused.value.detail
    assert len(refused.value.detail) < 700


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("price < 20", "filter: is not valid JSON, from line 1, column 1 on; send an object such as"),
        ("", "filter: is not valid JSON, from line 1, column 1 on; send an object such as"),
        ('{"price": NaN}', "filter.price: must be a finite number"),
        ('{"not":' * 3000 + "{}" + "}" * 3000, "filter: is nested too deeply"),
        ("[" * 60_000, "filter: is nested too deeply"),
        ('{"a": 1, "a": 2}', "filter: a was given twice in one object"),
        (json.dumps({"a": "x" * 70_000}), "filter: has 70,009 characters"),
    ],
)
def test_text_that_is_no_filter_is_refused(text, told):
    with pytest.raises(InvalidQuery) as refused:
        parse_text(text)
    assert told in refused.value.detail


def test_an_empty_filter_asks_for_nothing():
    assert parse({}) is None


def test_filters_of_true_and_of_1_are_two():
    """Python's True equals 1: they would share a call, and its answer."""
    assert parse({"a": 1}) != parse({"a": True})
    assert parse({"a": {"in": [0]}}) != parse({"a": {"in": [False]}})
    assert SearchOptions(1, filter=parse({"a": 1.0})) == SearchOptions(1, filter=parse({"a": 1}))
    assert hash(parse({"a": {"any": ["b"]}})) == hash(parse({"a": {"any": ["b"]}}))


@pytest.mark.parametrize("name", ["price", "maker.city", "/dc.title", "/or", "a/b~c", "/a~1b.c", "/", "/width", "width", "/~1a"])
def test_a_field_has_one_name(name):
    assert field_of(name, "facets").name == name
    assert field_of(field_of(name, "facets").name, "facets") == field_of(name, "facets")


def equal(place, literal):
    """The field's value, or an element of it if that is a list."""
    return f"({place} in [{literal}] or json_contains_any({place}, [{literal}]))"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"price": {"lt": 20}}, 'metadata["price"] < 20'),
        (
            {"p": {"in": [1, 2.5, "x", True]}},
            (
                '((metadata["p"] in ["x"] or metadata["p"] in [1.0, 2.5]) or '
                '(metadata["p"] in [true] or json_contains_any(metadata["p"], [1.0, 2.5, "x", true])))'
            ),
        ),
        ({"width": {"in": [1, 2]}}, "width in [1, 2]"),
        ({"name": 'x" or "1" == "1'}, equal('metadata["name"]', '"x\\" or \\"1\\" == \\"1"')),
        ({"name": "a\\\n\0é"}, equal('metadata["name"]', '"a\\\\\\u000a\\u0000é"')),
        ({'na"me': 1}, equal('metadata["na\\"me"]', "1.0")),
        ({"key": {"prefix": "a%"}}, '(key >= "a%" and key < "a&")'),
        ({"key": {"prefix": "\U0010ffff"}}, 'key >= "\U0010ffff"'),
        (
            {"not": {"or": [{"a": 1}, {"b": 2}]}},
            "(not ({}) and not ({}))".format(equal('metadata["a"]', "1.0"), equal('metadata["b"]', "2.0")),
        ),
    ],
)
def test_what_a_server_is_asked(given, text):
    assert expression(parse(given)) == Expression(text, whole=True)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({'x"] == 1 or metadata["y': 1}, ""),
        ({"a": 1, "x]": 2}, equal('metadata["a"]', "1.0")),
        ({"or": [{"a": 1}, {"x]": 2}]}, ""),
        ({"not": {"x]": 2}}, ""),
        ({"a": 2**53}, ""),
        ({"a": {"exists": True}}, '(exists metadata["a"])'),
        ({"$edited": {"exists": True}}, ""),
    ],
)
def test_what_a_server_cannot_say_lets_more_through(given, text):
    assert expression(parse(given)) == Expression(text, whole=False)
