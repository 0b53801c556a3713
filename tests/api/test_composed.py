"""Searches by several terms, and several searches at once."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from ml_api.embedding.fake import FakeEncoder, FakePreprocessor
from ml_api.errors import InsufficientStorage
from ml_api.images import InlineDecoder, Square
from ml_api.search.query import SCORE_DIGITS
from ml_api.vectors.memory import MemoryStore
from tests.api.stand import COLOURS, LIMITS, assert_problem, picture

RED = {"text": "red"}
GREEN_FILE = picture(COLOURS["sub/green.png"])


@pytest.fixture(scope="module")
def stand(shared_stand):
    return shared_stand


def in_base64(file):
    return base64.b64encode(file).decode()


def search(client, *terms, **options):
    return client.post("/v1/search", json={"query": list(terms), **options})


def keys(response):
    assert response.status_code == 200, response.get_data(as_text=True)
    return [hit["key"] for hit in response.get_json()["hits"]]


def hits(response):
    assert response.status_code == 200, response.get_data(as_text=True)
    return [(hit["key"], hit["score"]) for hit in response.get_json()["hits"]]


def test_one_term_gives_exactly_what_the_simple_route_gives(client, stand):
    alone = {
        "text": (RED, lambda: client.get("/v1/search/text?q=red")),
        "image": (
            {"image": in_base64(GREEN_FILE)},
            lambda: client.post("/v1/search/image", data=GREEN_FILE, content_type="image/png"),
        ),
        "stored": ({"id": stand.id("red.png")}, lambda: client.get(f"/v1/images/{stand.id('red.png')}/similar")),
    }
    for kind, (term, simple) in alone.items():
        assert hits(search(client, term)) == hits(simple()), kind
        assert hits(search(client, {**term, "weight": 7})) == hits(simple()), kind


NEGATED = ("red without green", "not red", "red, no green or blue", "nobody", "red in the snow with no blue in it")


@pytest.mark.parametrize("text", NEGATED)
def test_a_text_is_read_as_its_own_route_reads_it(client, text):
    simple = client.get("/v1/search/text", query_string={"q": text}).get_json()
    composed = search(client, {"text": text}).get_json()
    [one] = client.post("/v1/search/batch", json={"queries": [{"query": [{"text": text}]}]}).get_json()["results"]
    assert simple["read_as"]
    for answer in (composed, one["found"]):
        assert {name: answer[name] for name in ("hits", "confident", "read_as")} == {
            name: simple[name] for name in ("hits", "confident", "read_as")
        }
    literal = client.get("/v1/search/text", query_string={"q": text, "negation": "false"})
    assert hits(search(client, {"text": text}, negation=False)) == hits(literal)
    assert search(client, {"text": text}, negation=False).get_json()["read_as"] is None


def test_the_parts_of_a_text_are_weighed_by_its_weight(client, stand):
    image = {"id": stand.id("pink.png"), "weight": 0.25}
    answer = search(client, image, {"text": "red without green", "weight": 2})
    assert answer.get_json()["read_as"] == [{"text": "red", "weight": 2.0}, {"text": "green", "weight": -1.0}]
    assert hits(answer) == hits(search(client, image, {"text": "red", "weight": 2}, {"text": "green", "weight": -1}))


def test_what_is_not_wanted_and_what_all_words_must_match_is_taken_as_it_stands(client):
    for terms, options in (([RED, {"text": "not blue", "weight": -1}], {}), ([{"text": "red without blue"}], {"match": "text"})):
        assert search(client, *terms, **options).get_json()["read_as"] is None


def test_shares_are_of_the_terms_that_were_sent(client, stand):
    image, marked = {"id": stand.id("pink.png")}, {"more_like": [stand.id("blue.png")], "explain": True}
    answer = search(client, image, {"text": "red without green or blue"}, RED, **marked)
    apart = search(client, image, RED, {"text": "green", "weight": -0.5}, {"text": "blue", "weight": -0.5}, RED, **marked)
    assert keys(answer) == keys(apart)
    for hit, other in zip(answer.get_json()["hits"], apart.get_json()["hits"], strict=True):
        first, *parts, last, mark = other["shares"]
        assert hit["shares"] == pytest.approx([first, sum(parts), last, mark], abs=1e-5)


def test_pages_of_a_text_that_is_read_go_on(client):
    asked, found = {"text": "red without green"}, []
    cursor = None
    while True:
        answer = search(client, asked, limit=1, **({"cursor": cursor} if cursor else {}))
        found += keys(answer)
        if (cursor := answer.get_json()["next_cursor"]) is None:
            break
    assert found == keys(search(client, asked))


def test_a_term_behind_a_text_that_is_read_is_named_as_it_was_sent(client):
    response = search(client, {"text": "red without green or blue"}, {"id": "0" * 32})
    assert assert_problem(response, 404, "not-found")["detail"].startswith("query[1].id: ")


def test_terms_are_counted_as_they_are_read(client):
    many = {"text": "red without a, no b, no c, no d, no e, no f, no g, no h"}
    detail = assert_problem(search(client, *[many] * 8), 400, "invalid-query")["detail"]
    assert detail.startswith("query: has 72 terms, as their texts are read")
    assert keys(search(client, *[many] * 8, negation=False))
    queries = [{"query": [many] * 7}] * 5
    response = client.post("/v1/search/batch", json={"queries": queries})
    assert assert_problem(response, 400, "invalid-query")["detail"].startswith("queries: have, with marked images, 315 terms")


def test_a_vector_of_the_model_finds_as_its_text_does(client):
    [vector] = FakeEncoder().embed([FakePreprocessor().prepare_text("green")])
    assert hits(search(client, {"vector": [3 * number for number in vector.tolist()]})) == hits(
        client.get("/v1/search/text?q=green")
    )


def test_terms_are_weighed(client, stand):
    red, green = RED, {"id": stand.id("sub/green.png")}
    assert keys(search(client, red, {**green, "weight": 0.2}))[0] == "red.png"
    assert keys(search(client, {**red, "weight": 0.2}, green, exclude_inputs=False))[0] == "sub/green.png"


def test_what_a_negative_term_describes_comes_last(client):
    assert keys(search(client, RED, {"text": "blue", "weight": -1}))[0] == "red.png"
    assert keys(search(client, RED, {"text": "blue", "weight": -1}))[-1] == "blue.png"
    assert keys(search(client, {"text": "blue", "weight": -1}))[-1] == "blue.png"


def test_stored_images_that_are_terms_are_left_out_unless_they_are_wanted(client, stand):
    terms = [{"id": stand.id("red.png")}, {"id": stand.id("pink.png")}]
    assert set(keys(search(client, *terms))) == {"sub/green.png", "blue.png"}
    assert len(keys(search(client, *terms, exclude_inputs=False))) == 4
    assert len(keys(search(client, *terms, limit=1, offset=1))) == 1
    assert search(client, *terms, limit=1).get_json()["next"] == 1
    assert search(client, *terms, limit=2).get_json()["next"] is None


def test_each_term_has_its_share_of_a_score(client, stand):
    answer = search(client, RED, {"text": "blue", "weight": -0.5}, {"id": stand.id("pink.png")}, explain=True)
    assert keys(answer)
    for hit in answer.get_json()["hits"]:
        assert len(hit["shares"]) == 3
        assert sum(hit["shares"]) == pytest.approx(hit["score"], abs=1e-5)
        assert all(share == round(share, SCORE_DIGITS) for share in hit["shares"])
    by_key = {hit["key"]: hit["shares"] for hit in answer.get_json()["hits"]}
    assert by_key["red.png"][0] > 0.2
    assert by_key["blue.png"][1] < -0.2
    assert all(hit["shares"] is None for hit in search(client, RED).get_json()["hits"])


def test_what_is_searched_for_moves_towards_images_marked_good_and_away_from_bad_ones(client, stand):
    green, blue = stand.id("sub/green.png"), stand.id("blue.png")
    asked = {"text": "red blue"}
    before = dict(hits(search(client, asked)))
    towards = dict(hits(search(client, asked, more_like=[green])))
    assert towards["sub/green.png"] > before["sub/green.png"]
    away = dict(hits(search(client, asked, less_like=[blue])))
    assert away["red.png"] > before["red.png"]
    assert dict(hits(search(client, asked, more_like=[green, green]))) == towards


def test_bad_ones_are_left_out_and_good_ones_stay(client, stand):
    red, pink = stand.id("red.png"), stand.id("pink.png")
    found = keys(search(client, RED, more_like=[pink], less_like=[red]))
    assert set(found) == {"pink.png", "sub/green.png", "blue.png"}
    assert found[0] == "pink.png"
    assert search(client, RED, less_like=[red], limit=3).get_json()["next"] is None
    assert keys(search(client, RED, less_like=[red], exclude_inputs=False)) == keys(search(client, RED, less_like=[red]))


def test_each_marked_image_has_its_share_of_a_score(client, stand):
    answer = search(client, RED, more_like=[stand.id("pink.png")], less_like=[stand.id("blue.png")], explain=True)
    for hit in answer.get_json()["hits"]:
        assert len(hit["shares"]) == 3
        assert sum(hit["shares"]) == pytest.approx(hit["score"], abs=1e-5)
    assert all(hit["relevance"] is None for hit in answer.get_json()["hits"])


@pytest.mark.parametrize(
    ("marks", "code", "says"),
    [
        ({"more_like": "x"}, "invalid-query", "more_like: must be an array of at most 64 texts (got 'x')"),
        ({"more_like": None}, "invalid-query", "more_like: must be an array of at most 64 texts (got null)"),
        ({"more_like": [3]}, "invalid-query", "more_like[0]: must be a text (got 3)"),
        ({"less_like": ["0" * 32] * 65}, "invalid-query", "less_like: must be an array of at most 64 texts (got an array of 65)"),
        ({"more_like": ["0" * 31 + "'"]}, "invalid-id", "more_like[0]: must be 32 lower-case hex digits"),
        ({"less_like": ["0" * 32]}, "not-found", "less_like[0]: no image has the id 0000"),
        (
            {"more_like": ["0" * 32], "less_like": ["1" * 32, "0" * 32]},
            "invalid-query",
            "less_like[1]: is in more_like as well; mark an image good or bad",
        ),
    ],
)
def test_bad_marks_are_named(client, marks, code, says):
    status = 404 if code == "not-found" else 400
    assert says in assert_problem(search(client, RED, **marks), status, code)["detail"]
    body = {"queries": [{"query": [RED]}, {"query": [RED], **marks}]}
    answer = client.post("/v1/search/batch", json=body)
    problem = answer.get_json()["results"][1]["problem"] if answer.status_code == 200 else answer.get_json()
    assert "queries[1]." + says in problem["detail"]


def halves(left, right):
    """A picture with a half of each colour."""
    both = Image.new("RGB", (64, 64), COLOURS[left])
    both.paste(COLOURS[right], (32, 0, 64, 64))
    file = io.BytesIO()
    both.save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(("crop", "found"), [([0, 0, 0.5, 1], "red.png"), ([32, 0, 32, 64], "blue.png")])
def test_a_crop_is_searched_for_alone(client, crop, found):
    assert keys(search(client, {"image": in_base64(halves("red.png", "blue.png")), "crop": crop}))[0] == found


def in_form(body, **files):
    data = {"search": body if isinstance(body, str) else json.dumps(body)}
    data |= {name: (io.BytesIO(file), "x.png") for name, file in files.items()}
    return {"data": data, "content_type": "multipart/form-data"}


def test_images_may_be_fields_of_a_form_that_terms_name(client):
    both = halves("red.png", "blue.png")
    query = [{"image": "both", "crop": [32, 0, 32, 64]}, {"image": "small", "weight": 0.1}]
    sent = in_form({"query": query, "limit": 2}, both=both, small=GREEN_FILE)
    assert keys(client.post("/v1/search", **sent))[0] == "blue.png"
    twice = in_form({"queries": [{"query": [{"image": "one"}]}, {"query": [{"image": "one"}, RED]}]}, one=GREEN_FILE)
    assert [one["status"] for one in client.post("/v1/search/batch", **twice).get_json()["results"]] == [200, 200]


LIMIT_BESIDE = {"data": {"search": '{"query": [{"text": "red"}]}', "limit": "3"}, "content_type": "multipart/form-data"}


@pytest.mark.parametrize(
    ("sent", "code", "says"),
    [
        (
            {"data": {"one": (io.BytesIO(GREEN_FILE), "x.png")}},
            "invalid-json",
            "search: this field of the form, with JSON, is there 0",
        ),
        (in_form("{"), "invalid-json", "not valid JSON"),
        (
            in_form({"query": [{"image": "two"}]}, one=GREEN_FILE),
            "missing-image",
            "query[0].image: no field of the form with a file",
        ),
        (LIMIT_BESIDE, "invalid-query", "limit: holds no file"),
        ({"data": b"{}", "content_type": "text/plain"}, "unsupported-media-type", "multipart/form-data"),
    ],
)
def test_what_is_wrong_with_a_form_is_said(client, sent, code, says):
    response = client.post("/v1/search", **sent)
    assert says in assert_problem(response, 415 if code == "unsupported-media-type" else 400, code)["detail"]


NUMBERS = [0.0] * FakeEncoder().model.dim


@pytest.mark.parametrize(
    ("query", "code", "says"),
    [
        ([], "invalid-query", "query: must be an array of 1 to 64 objects (got an array of 0)"),
        ("red", "invalid-query", "query: must be an array of 1 to 64 objects (got 'red')"),
        ([RED] * 65, "invalid-query", "query: must be an array of 1 to 64 objects (got an array of 65)"),
        ([RED] * 1000, "invalid-query", "query: must be an array of 1 to 64 objects (got an array of 1,000)"),
        (["red"], "invalid-query", "query[0]: must be an object"),
        ([RED, {}], "invalid-query", "query[1]: has no member to search for; a term has one of text, image, id, vector"),
        ([RED, {"text": "a", "id": "0" * 32}], "invalid-query", "query[1]: has text and id"),
        ([{"txet": "red"}], "invalid-query", "query[0].txet: is not a parameter; the parameters are text, image"),
        ([{"text": " "}], "invalid-query", "query[0].text: is blank"),
        ([{"text": "x" * 1001}], "invalid-query", "query[0].text: must have at most 1,000 characters"),
        ([{"text": "\ud83d"}], "invalid-query", "query[0].text: holds a lone surrogate"),
        ([{"text": 3}], "invalid-query", "query[0].text: must be a text (got 3)"),
        ([RED, {"text": "a", "weight": "2"}], "invalid-query", "query[1].weight: must be a number from -1,000 to 1,000 (got '2')"),
        ([{"text": "a", "weight": 1001}], "invalid-query", "query[0].weight: must be a number from -1,000 to 1,000"),
        ([{"text": "a", "weight": True}], "invalid-query", "query[0].weight: must be a number"),
        ([{"text": "a", "weight": None}], "invalid-query", "query[0].weight: must be a number"),
        ([{"text": "a", "weight": 0}], "invalid-query", "query: every weight is 0"),
        ([RED, {**RED, "weight": -1}], "invalid-query", "query: the terms cancel out"),
        ([{"id": "x"}], "invalid-id", "query[0].id: must be 32"),
        ([RED, {"id": "0" * 32}], "not-found", "query[1].id: no image has the id"),
        ([{"vector": []}], "invalid-query", "query[0].vector: must be an array of 1 to 8,192 numbers (got an array of 0)"),
        ([{"vector": [1.0, 2.0]}], "invalid-query", "query[0].vector: has 2 numbers; the model's vectors have 59"),
        ([{"vector": ["1"]}], "invalid-query", "query[0].vector[0]: must be a finite number"),
        ([RED, {"vector": NUMBERS}], "invalid-query", "query[1].vector: has no direction"),
        ([{"image": "//"}], "invalid-base64", "query[0].image: is not valid base64"),
        ([{"image": "https://example.org/x.png"}], "invalid-base64", "query[0].image: is a URL, and URLs are not fetched"),
        ([RED, {"image": in_base64(b"text")}], "image-format", "query[1].image: The file looks like text"),
        ([{**RED, "crop": [0, 0, 1, 1]}], "invalid-crop", "query[0].crop: is of images alone"),
    ],
)
def test_bad_terms_are_named(client, query, code, says):
    status = {"not-found": 404, "image-format": 422}.get(code, 400)
    assert says in assert_problem(client.post("/v1/search", json={"query": query}), status, code)["detail"]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "1" + "0" * 400])
@pytest.mark.parametrize(
    ("body", "place"),
    [
        ('{"query": [{"text": "red"}, {"text": "blue", "weight": %s}]}', "query[1].weight"),
        ('{"query": [{"vector": [1.0, %s]}]}', "query[0].vector[1]"),
        ('{"query": [{"image": "AAAA", "crop": [0, 0, 1, %s]}]}', "query[0].crop[3]"),
    ],
)
def test_numbers_that_are_not_finite_are_refused(client, body, place, number):
    response = client.post("/v1/search", data=body % number, content_type="application/json")
    assert place in assert_problem(response, 400, "invalid-query")["detail"]


@pytest.mark.parametrize(
    ("crop", "code", "says"),
    [
        ([0, 0, 1], "invalid-query", "query[1].crop: must be an array of 4 numbers (got an array of 3)"),
        ([0, 0, 1, 1, 1], "invalid-query", "query[1].crop: must be an array of 4 numbers (got an array of 5)"),
        ([0, 0, "1", 1], "invalid-query", "query[1].crop[2]: must be a finite number"),
        ([0, 0, 0, 1], "invalid-crop", "query[1].crop: must be [x, y, width, height]"),
        ([-1, 0, 10, 10], "invalid-crop", "query[1].crop: must be [x, y, width, height]"),
        ([0.5, 0, 0.6, 1], "invalid-crop", "query[1].crop: [0.5, 0, 0.6, 1] reaches out"),
        ([60, 0, 10, 10], "invalid-crop", "query[1].crop: [60, 0, 10, 10] reaches out of the image: "),
    ],
)
def test_crops_that_no_image_has_are_named(client, crop, code, says):
    response = search(client, RED, {"image": in_base64(GREEN_FILE), "crop": crop})
    assert says in assert_problem(response, 400, code)["detail"]


class CountingEncoder(FakeEncoder):
    def __init__(self):
        super().__init__()
        self.passes = []

    def embed(self, items):
        self.passes.append((items[0].modality, len(items)))
        return super().embed(items)


class CountingStore(MemoryStore):
    def __init__(self):
        super().__init__()
        self.calls = []

    def search(self, vectors, options, deadline=None):
        self.calls.append((len(vectors), options.limit))
        return super().search(vectors, options, deadline)


def test_the_queries_of_a_batch_share_a_pass_of_each_modality_and_a_call_of_the_store(make_stand):
    stand = make_stand(encoder=(encoder := CountingEncoder()), store=(store := CountingStore()))
    encoder.passes.clear()
    words = [f"red {word}" for word in range(6)]
    queries = [{"query": [{"text": word}, {"image": in_base64(GREEN_FILE)}], "limit": 3} for word in words]
    queries += [{"query": [RED], "limit": 3}, {"query": [RED], "limit": 5}]
    body = stand.client.post("/v1/search/batch", json={"queries": queries}).get_json()
    assert [len(one["found"]["hits"]) for one in body["results"]] == [3] * 7 + [4]
    assert sorted(encoder.passes) == [("image", 6), ("text", 7)]
    assert sorted(store.calls) == [(1, 6), (7, 4)]


def test_each_query_of_a_batch_has_its_own_result_or_problem(client, stand):
    queries = [
        {"query": [RED], "limit": 1},
        {"query": [RED, {"id": "0" * 32}]},
        {"query": [{"id": "0"}]},
        {"query": [RED, {**RED, "weight": -1}]},
        {"query": [{"image": in_base64(b"text")}]},
        {"query": [{"image": in_base64(GREEN_FILE), "crop": [0, 0, 100, 100]}]},
        {"query": [{"id": stand.id("red.png")}], "limit": 2, "explain": True},
    ]
    response = client.post("/v1/search/batch", json={"queries": queries})
    assert response.status_code == 200
    body = response.get_json()
    assert body["query_id"] == response.headers["X-Request-ID"]
    assert [one["status"] for one in body["results"]] == [200, 404, 400, 400, 422, 400, 200]
    assert [(one["problem"] or {}).get("detail", "").partition(": ")[0] for one in body["results"]] == [
        "",
        "queries[1].query[1].id",
        "queries[2].query[0].id",
        "queries[3].query",
        "queries[4].query[0].image",
        "queries[5].query[0].crop",
        "",
    ]
    first, last = body["results"][0]["found"], body["results"][-1]["found"]
    assert [hit["key"] for hit in first["hits"]] == keys(client.get("/v1/search/text?q=red&limit=1"))
    assert first["next"] == 1
    assert len(last["hits"][0]["shares"]) == 1


def test_an_image_that_there_is_no_room_to_decode_spoils_its_own_query_of_a_batch(make_stand):
    class Full(InlineDecoder):
        def decode(self, data, *rest):
            if data == GREEN_FILE:
                raise InsufficientStorage("no room")
            return super().decode(data, *rest)

    client = make_stand(decoder=Full(LIMITS)).client
    body = {"queries": [{"query": [{"image": in_base64(file)}]} for file in (GREEN_FILE, picture())]}
    results = client.post("/v1/search/batch", json=body).get_json()["results"]
    assert [one["status"] for one in results] == [507, 200]
    assert_problem(client.post("/v1/search", json=body["queries"][0]), 507, "insufficient-storage")


@pytest.mark.parametrize(
    ("queries", "says"),
    [
        ([], "queries: must be an array of 1 to 64 objects (got an array of 0)"),
        ([{"query": [RED]}] * 65, "queries: must be an array of 1 to 64 objects (got an array of 65)"),
        (
            [{"query": [RED] * 5}] * 52,
            "queries: have, with marked images, 260 terms, as their texts are read (`negation`); at most 256",
        ),
        ([{"query": [RED]}, {"query": [RED], "limit": 0}], "queries[1].limit: must be a whole number from 1 to 100"),
        ([{"query": [RED]}, {"query": [{"text": "a", "weight": "b"}]}], "queries[1].query[0].weight: must be a number"),
        ([{"query": [RED], "top": 3}], "queries[0].top: is not a parameter"),
        ([{"query": [RED]}, {"query": [RED], "filter": {"or": [{"a": {"less": 1}}]}}], "queries[1].filter.or[0].a: 'less' is not"),
    ],
)
def test_a_batch_that_is_not_as_described_is_refused_as_a_whole(client, queries, says):
    assert says in assert_problem(client.post("/v1/search/batch", json={"queries": queries}), 400, "invalid-query")["detail"]


def test_of_many_faults_some_are_named_and_the_rest_counted(client):
    response = search(client, *[{"text": "a", "weight": "b"}] * 60)
    detail = assert_problem(response, 400, "invalid-query")["detail"]
    assert "and 55 more faults" in detail
    assert len(detail) < 1000


def test_the_part_of_the_picture_is_cut_out_where_it_is_decoded(make_stand):
    """The model's own view of a part is the view of that part alone."""
    fit = FakePreprocessor.fit
    assert isinstance(fit, Square)
    stand = make_stand()
    both = halves("red.png", "blue.png")
    part = picture(COLOURS["blue.png"], (32, 64))
    found = hits(search(stand.client, {"image": in_base64(both), "crop": [0.5, 0, 0.5, 1]}))
    alone = hits(search(stand.client, {"image": in_base64(part)}))
    assert [key for key, _ in found] == [key for key, _ in alone]
    assert np.allclose([score for _, score in found], [score for _, score in alone], atol=1e-5)
