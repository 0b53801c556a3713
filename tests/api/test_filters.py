"""Filters on every route that searches or lists, and what is no filter."""

import json

import numpy as np
import pytest

from ml_api.errors import InvalidQuery
from ml_api.vectors.filters import parse
from tests.api.stand import BOUNDARY, FORM_TYPE, assert_problem, form, picture
from tests.contracts.samples import record

SHELF = {"cheap": {"price": 5, "tags": ["red", "sale"]}, "dear": {"price": 50, "tags": ["red"]}, "plain": {}}
CHEAP = {"price": {"lt": 20}}


@pytest.fixture(scope="module")
def stand(shared_stand):
    return shared_stand


@pytest.fixture
def client(stand):
    vectors = np.tile(np.eye(1, stand.services.engine.embedder.model.dim, dtype=np.float32), (len(SHELF), 1))
    stand.services.engine.store.upsert([record(key, metadata=metadata) for key, metadata in SHELF.items()], vectors)
    return stand.client


def keys(response):
    assert response.status_code == 200, response.get_data(as_text=True)
    return [hit["key"] for hit in response.get_json()["hits"]]


def ways(client, stand, given):
    """Every search route with this filter."""
    text = json.dumps(given)
    yield client.get("/v1/search/text", query_string={"q": "red", "filter": text})
    yield client.post("/v1/search/text", json={"q": "red", "filter": given})
    yield client.post("/v1/search", json={"query": [{"text": "red"}], "filter": given})
    yield client.get(f"/v1/images/{stand.id('plain')}/similar", query_string={"filter": text})
    yield client.post("/v1/search/image", query_string={"filter": text}, data=picture(), content_type="image/png")
    yield client.get("/v1/images", query_string={"filter": text})


def test_every_search_and_the_listing_take_a_filter(client, stand):
    *searches, listing = ways(client, stand, CHEAP)
    assert [keys(one) for one in searches] == [["cheap"]] * 5
    assert [image["key"] for image in listing.get_json()["images"]] == ["cheap"]


def test_equality_looks_into_lists(client, stand):
    for given, right in (({"tags": "sale"}, {"cheap"}), ({"tags": {"in": ["sale", "red"]}}, {"cheap", "dear"})):
        for answer in ways(client, stand, given):
            body = answer.get_json()
            assert {one["key"] for one in body.get("hits", body.get("images"))} == right
    for answer in ways(client, stand, {"tags": {"ne": "sale"}}):
        body = answer.get_json()
        assert "cheap" not in {one["key"] for one in body.get("hits", body.get("images"))}


@pytest.mark.parametrize(
    ("given", "warnings"),
    [
        ({"tag": "red"}, ["filter: tag is a field that no image has; the nearest are tags"]),
        ({"zzz": {"exists": True}}, ["filter: zzz is a field that no image has; GET /v1/metadata lists the fields"]),
        (
            {"tags": {"prefix": "re"}},
            ["filter: tags holds values of another kind (it holds: list; compared with: text); eq, in, any and all look"],
        ),
        ({"price": "5"}, ["filter: price holds values of another kind (it holds: number; compared with: text)"]),
        ({"price": {"any": [5]}}, ["filter: price holds no lists, which any looks into (it holds: number)"]),
        ({"and": [{"tag": 1}, {"not": {"prise": 1}}], "width": {"gte": 0}}, ["filter: tag is a field"]),
        ({"price": {"gt": 50}, "archived": {"exists": False}, "state": {"ne": "sold"}}, None),
        ({"price": 7}, None),
        ({"tags": "nothing"}, None),
        ({"tags": {"any": ["nothing"]}}, None),
        ({"key": "nothing"}, None),
        ({"price": {"lt": 20}}, None),
    ],
)
def test_an_answer_without_hits_says_what_is_likely_to_be_wrong_with_its_filter(client, stand, given, warnings):
    for answer in ways(client, stand, given):
        assert answer.status_code == 200
        told = answer.get_json()["warnings"]
        assert (told is None) == (warnings is None)
        for one, beginning in zip(told or (), warnings or (), strict=True):
            assert one.startswith(beginning)


def test_a_page_behind_the_last_hit_is_no_fault_of_the_filter(client):
    answer = client.get("/v1/search/text", query_string={"q": "red", "filter": json.dumps(CHEAP), "offset": 5}).get_json()
    assert (answer["hits"], answer["warnings"]) == ([], None)


def test_a_batch_takes_a_filter_for_each_query(client):
    queries = [{"query": [{"text": "red"}], "filter": given} for given in (CHEAP, {"tags": {"any": ["red"]}}, {})]
    results = client.post("/v1/search/batch", json={"queries": queries}).get_json()["results"]
    found = [{hit["key"] for hit in one["found"]["hits"]} for one in results]
    assert found[:2] == [{"cheap"}, {"cheap", "dear"}]
    assert set(SHELF) < found[2]


def test_a_form_takes_a_filter_beside_the_image(client):
    field = b'--%s\r\nContent-Disposition: form-data; name="filter"\r\n\r\n{"price": 50}\r\n'
    response = client.post("/v1/search/image", data=form(picture(), before=field % BOUNDARY), content_type=FORM_TYPE)
    assert keys(response) == ["dear"]


def test_the_listing_goes_on_with_its_filter(client):
    parameters = {"filter": json.dumps({"tags": {"any": ["red"]}}), "limit": 1}
    first = client.get("/v1/images", query_string=parameters).get_json()
    second = client.get("/v1/images", query_string={**parameters, "cursor": first["next"]}).get_json()
    assert {first["images"][0]["key"], second["images"][0]["key"]} == {"cheap", "dear"}
    assert second["next"] is None


WRONG = [
    {"price": {"lt": None}},
    {"price": {"less": 5}},
    {"price": {"in": []}},
    {"na\"me'": {"eq": ['x" or 1 == 1']}},
    {"\0": {"lt": False}},
    {"or": {"price": 5}},
    {"price": {"in": list(range(1001))}},
    {"width": "wide"},
]


@pytest.mark.parametrize("given", WRONG, ids=repr)
def test_what_is_no_filter_is_refused_everywhere_with_its_field(client, stand, given):
    with pytest.raises(InvalidQuery) as refused:
        parse(given)
    for response in ways(client, stand, given):
        assert assert_problem(response, 400, "invalid-query")["detail"].startswith(refused.value.detail[:60])


def test_what_is_wrong_with_other_parameters_is_said_beside_it(client):
    for response in (
        client.get("/v1/search/text", query_string={"q": "red", "limit": 0, "filter": '{"price": {"less": 5}}'}),
        client.post("/v1/search/text", json={"q": "red", "limit": 0, "filter": {"price": {"less": 5}}}),
    ):
        detail = assert_problem(response, 400, "invalid-query")["detail"]
        assert "limit: must be a whole number" in detail
        assert "filter.price: 'less' is not an operator" in detail


def test_a_filter_as_deep_as_can_be_sent_is_refused(client):
    deep = '{"not":' * 3000 + '{"price": 1}' + "}" * 3000
    response = client.get("/v1/search/text", query_string={"q": "red", "filter": deep})
    assert "filter: is nested too deeply" in assert_problem(response, 400, "invalid-query")["detail"]
    response = client.post("/v1/search/text", data='{"q": "red", "filter": ' + deep + "}", content_type="application/json")
    assert response.status_code == 400
    assert "filter" in response.get_json()["detail"]


@pytest.mark.parametrize("text", ["price < 20", "", "[]", "{", '{"price": NaN}', '{"a\\ud800": 1}', 'id != ""', "null", "5"])
def test_text_that_is_no_filter_is_refused(client, text):
    response = client.get("/v1/images", query_string={"filter": text})
    assert assert_problem(response, 400, "invalid-query")["detail"].startswith("filter")


@pytest.mark.parametrize("value", ['x" or "1" == "1', "x\\", "x'", "\0", "%", "é", "😀", '"]'])
def test_values_that_would_break_out_of_an_expression_find_nothing(client, stand, value):
    for given in ({"price": value}, {"key": value}, {value: 5}, {"tags": {"any": [value]}}, {"tags": {"all": [value]}}):
        *searches, listing = ways(client, stand, given)
        assert [keys(one) for one in searches] == [[]] * 5
        assert listing.get_json()["images"] == []


def test_an_unknown_field_is_no_error(client, stand):
    """Fields are free and come with syncs: no one knows that there will be none."""
    assert keys(next(ways(client, stand, {"prize": {"lt": 20}}))) == []
