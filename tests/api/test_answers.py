"""What all answers have in common: an id, a line end, and as few bytes as may be."""

import io
import json

import pyarrow as pa
import pytest
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from ml_api.api import schemas
from tests.api.stand import assert_problem

ASKED = {
    "search": ("GET", "/v1/search/text?q=red"),
    "stats": ("GET", "/v1/stats"),
    "head": ("HEAD", "/v1/stats"),
    "options": ("OPTIONS", "/v1/search/text"),
    "ready": ("GET", "/readyz"),
    "alive": ("GET", "/livez"),
    "document": ("GET", "/openapi.json"),
    "page": ("GET", "/"),
    "script": ("GET", "/static/page.js"),
    "redirect": ("GET", "/v1/stats/"),
    "redirect of werkzeug": ("GET", "/apidocs"),
    "invalid": ("GET", "/v1/search/text?limit=0"),
    "unknown parameter": ("GET", "/v1/stats?x=1"),
    "not UTF-8": ("GET", "/v1/search/text?q=%E9"),
    "no route": ("GET", "/nowhere"),
    "wrong method": ("PATCH", "/v1/stats"),
    "no image": ("GET", f"/v1/images/{'0' * 32}"),
    "bad type": ("POST", "/v1/search/image"),
}


@pytest.fixture(scope="module")
def stand(shared_stand):
    return shared_stand


@pytest.mark.parametrize(("method", "address"), ASKED.values(), ids=ASKED)
def test_every_answer_has_the_id_of_its_request(client, method, address):
    with client.open(address, method=method, headers={"X-Request-ID": "mine-1"}) as response:
        assert response.headers["X-Request-ID"] == "mine-1"
    with client.open(address, method=method) as response:
        assert len(response.headers["X-Request-ID"]) == 32


def test_a_body_over_the_limit_is_refused_with_the_id(client):
    response = client.post("/v1/search/image", data=b"x" * 1_000_000, content_type="image/png", headers={"X-Request-ID": "mine-2"})
    assert (response.status_code, response.headers["X-Request-ID"]) == (413, "mine-2")


@pytest.mark.parametrize("name", [name for name, (method, _) in ASKED.items() if method not in {"HEAD", "OPTIONS"}])
def test_json_ends_with_a_line_end(client, name):
    method, address = ASKED[name]
    with client.open(address, method=method) as response:
        if response.mimetype.endswith("json"):
            assert response.data.endswith(b"}\n")
            assert json.loads(response.data)


SEARCHES = {
    "plain": {"query": [{"text": "red"}]},
    "by words": {"query": [{"text": "red.png"}], "limit": 1},
    "negation": {"query": [{"text": "red without blue"}]},
    "explained": {"query": [{"text": "red"}, {"text": "blue", "weight": -0.5}], "explain": True},
    "arranged": {"query": [{"text": "red"}], "group": "width", "facets": ["width"]},
    "filter that nothing fulfils": {"query": [{"text": "red"}], "filter": {"capton": "red"}},
    "fault": {"query": [{"id": "0" * 32}]},
}
"""Hits are not written by the models that describe them, whose names, order and types they have all the same."""


@pytest.mark.parametrize(
    "body", [body for name, body in SEARCHES.items() if name != "fault"], ids=lambda body: json.dumps(body)[:60]
)
def test_a_search_is_answered_as_its_model_says(client, body):
    answer = client.post("/v1/search", json=body).data
    assert schemas.SearchAnswer.model_validate_json(answer, strict=True).model_dump_json(by_alias=True).encode() + b"\n" == answer


def test_a_batch_is_answered_as_its_model_says(client):
    answer = client.post("/v1/search/batch", json={"queries": list(SEARCHES.values())}).data
    assert schemas.BatchAnswer.model_validate_json(answer, strict=True).model_dump_json(by_alias=True).encode() + b"\n" == answer
    found = {name: result["found"] for name, result in zip(SEARCHES, json.loads(answer)["results"], strict=True)}
    assert found["fault"] is None
    assert found["by words"]["hits"][0]["matched"]
    assert found["negation"]["read_as"]
    assert found["explained"]["hits"][0]["shares"]
    assert found["arranged"]["hits"][0]["group"]["hits"]
    assert found["arranged"]["facets"]
    assert found["filter that nothing fulfils"]["warnings"]


COMPRESSED = {
    "search": "/v1/search/text?q=red",
    "document": "/openapi.json",
    "page": "/",
    "script": "/static/page.js",
    "style": "/static/page.css",
    "Swagger UI": "/apidocs/assets/swagger-ui-bundle.js",
}


def without_times(body):
    return body.partition(b'"hits"')[2].partition(b'"timings_ms"')[0] or body


@pytest.mark.parametrize(("accepted", "encoding"), [("gzip, br", "gzip"), ("gzip, deflate, br, zstd", "zstd")])
@pytest.mark.parametrize("address", COMPRESSED.values(), ids=COMPRESSED)
def test_text_is_compressed_as_its_reader_can_read_it(client, address, accepted, encoding):
    with client.get(address) as response:
        plain = response.data
        assert "Content-Encoding" not in response.headers
    with client.get(address, headers={"Accept-Encoding": accepted}) as response:
        assert response.headers["Content-Encoding"] == encoding
        assert "Accept-Encoding" in response.headers["Vary"]
        assert len(response.data) < 0.7 * len(plain)
        assert without_times(pa.input_stream(io.BytesIO(response.data), compression=encoding).read()) == without_times(plain)


@pytest.mark.parametrize("address", ["/static/page.js", "/apidocs/assets/swagger-ui-bundle.js"])
def test_a_compressed_file_that_is_current_is_not_sent_again(client, address):
    with client.get(address, headers={"Accept-Encoding": "gzip"}) as first:
        etag = first.headers["ETag"]
    with client.get(address, headers={"Accept-Encoding": "gzip", "If-None-Match": etag}) as second:
        assert (second.status_code, second.data) == (304, b"")


@pytest.mark.parametrize("part", ["content", "thumbnail"])
def test_images_are_not_compressed_again(client, stand, part):
    response = client.get(f"/v1/images/{stand.id('red.png')}/{part}", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in response.headers


def test_a_small_answer_is_not_worth_it(client):
    assert "Content-Encoding" not in client.get("/livez", headers={"Accept-Encoding": "gzip"}).headers


def test_an_error_of_the_framework_keeps_what_its_headers_say(make_stand):
    stand = make_stand()

    def locked():
        raise Unauthorized("send a key", www_authenticate=WWWAuthenticate("bearer"))

    stand.app.add_url_rule("/locked", view_func=locked)
    response = stand.client.get("/locked")
    assert assert_problem(response, 401, "unauthorized")["detail"] == "send a key"
    assert response.headers.getlist("WWW-Authenticate") == ["Bearer"]
    assert response.headers.getlist("Content-Type") == ["application/problem+json"]
