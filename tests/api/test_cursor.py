"""Pages by cursor, over HTTP: every way to search has them."""

import io
import json

import pytest

from ml_api.errors import InvalidCursor
from ml_api.search.cursor import MAX_CURSOR_CHARS
from tests.api.stand import COLOURS, assert_problem, picture

FORM = "multipart/form-data"


def by_text(stand, **page):
    return stand.client.get("/v1/search/text", query_string={"q": "red", **page})


def by_text_in_json(stand, **page):
    return stand.client.post("/v1/search/text", json={"q": "red", **page})


def by_image(stand, **page):
    return stand.client.post("/v1/search/image", data=picture(), content_type="image/png", query_string=page)


def by_image_in_a_form(stand, **page):
    return stand.client.post("/v1/search/image", data={"image": (io.BytesIO(picture()), "x.png"), **page})


def similar(stand, **page):
    return stand.client.get(f"/v1/images/{stand.id('red.png')}/similar", query_string=page)


def by_terms(stand, **page):
    return stand.client.post("/v1/search", json={"query": [{"text": "red"}, {"text": "blue", "weight": -0.2}], **page})


def by_terms_in_a_form(stand, **page):
    query = json.dumps({"query": [{"image": "x"}], **page})
    return stand.client.post("/v1/search", data={"search": query, "x": (io.BytesIO(picture()), "x.png")}, content_type=FORM)


@pytest.fixture(scope="module")
def stand(shared_stand):
    return shared_stand


WAYS = [by_text, by_text_in_json, by_image, by_image_in_a_form, similar, by_terms, by_terms_in_a_form]


def body_of(response):
    assert response.status_code == 200, response.get_data(as_text=True)
    return response.get_json()


def keys(body):
    return [hit["key"] for hit in body["hits"]]


@pytest.mark.parametrize("ask", WAYS)
def test_pages_lead_through_the_ranking(stand, ask):
    whole = keys(body_of(ask(stand, limit=100)))
    body = body_of(ask(stand, limit=1))
    paged = keys(body)
    while body["next_cursor"]:
        assert body["next"] == (None if len(paged) > 1 else 1)
        body = body_of(ask(stand, limit=1, cursor=body["next_cursor"]))
        paged += keys(body)
    assert body["next"] is None
    assert paged == whole
    assert len(whole) >= len(COLOURS) - 1


@pytest.mark.parametrize("ask", WAYS)
def test_a_cursor_of_another_search_is_refused(stand, ask):
    other = body_of(stand.client.get("/v1/search/text?q=green&limit=1"))["next_cursor"]
    assert assert_problem(ask(stand, cursor=other), 400, "invalid-cursor")["detail"] == (
        "cursor: belongs to a search for something else; send the same text, image, id or terms, and marks, "
        "with it, or begin again without "
        "cursor"
    )


@pytest.mark.parametrize("ask", WAYS)
def test_a_cursor_says_by_itself_what_to_skip(stand, ask):
    cursor = body_of(ask(stand, limit=1))["next_cursor"]
    assert body_of(ask(stand, limit=1, offset=0, cursor=cursor))["hits"]
    assert assert_problem(ask(stand, offset=1, cursor=cursor), 400, "invalid-query")["detail"].startswith(
        "cursor: cannot be combined with offset, as it says by itself what to skip; send one of them"
    )


@pytest.mark.parametrize("ask", WAYS)
@pytest.mark.parametrize("cursor", ["x", "A" * 60, "é", "../../etc/passwd", "%00", "A" * MAX_CURSOR_CHARS])
def test_what_is_no_cursor_is_refused(stand, ask, cursor):
    assert assert_problem(ask(stand, cursor=cursor), 400, "invalid-cursor")["detail"].startswith("cursor: ")


@pytest.mark.parametrize("ask", WAYS)
def test_a_cursor_has_a_longest_length(stand, ask):
    detail = assert_problem(ask(stand, cursor="A" * (MAX_CURSOR_CHARS + 1)), 400, "invalid-query")["detail"]
    assert detail == f"cursor: must have at most {MAX_CURSOR_CHARS:,} characters (got {MAX_CURSOR_CHARS + 1} characters)"


def test_no_model_and_no_decoder_is_asked_for_a_cursor_that_leads_nowhere(make_stand):
    stand = make_stand()
    stand.services.engine.embedder.close()
    assert_problem(by_text(stand, cursor="x"), 400, InvalidCursor.code)


def test_each_query_of_a_batch_has_its_own_place(stand):
    def ask(*cursors):
        queries = [{"query": [{"text": text}], "limit": 1} for text in ("red", "green")]
        given = [query if cursor is None else query | {"cursor": cursor} for query, cursor in zip(queries, cursors, strict=True)]
        return body_of(stand.client.post("/v1/search/batch", json={"queries": given}))["results"]

    first = [one["found"] for one in ask(None, None)]
    red, green = (found["next_cursor"] for found in first)
    second = [one["found"] for one in ask(red, green)]
    assert [keys(found) for found in second] == [
        keys(body_of(stand.client.get(f"/v1/search/text?q={text}&limit=1&offset=1"))) for text in ("red", "green")
    ]
    swapped = ask(green, None)
    assert swapped[0]["problem"]["detail"].startswith("queries[0].cursor: belongs to a search for something else")
    assert (swapped[0]["status"], swapped[1]["status"]) == (400, 200)


def test_pages_go_on_while_images_come_and_go(make_stand):
    stand = make_stand()
    whole = keys(body_of(by_text(stand, limit=100)))
    first = body_of(by_text(stand, limit=2))
    stand.services.engine.store.delete([hit["id"] for hit in first["hits"]])
    assert keys(body_of(by_text(stand, limit=100, cursor=first["next_cursor"]))) == whole[2:]
