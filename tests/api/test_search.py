"""Searching over HTTP: what is found, and in which form."""

import base64
import io
import json
from dataclasses import replace

import pytest
from flask import Flask
from PIL import Image

from ml_api.api.answers import register, stored_image
from ml_api.images import MEDIA_TYPES
from ml_api.search.query import MAX_DEPTH
from ml_api.vectors.memory import MemoryStore
from tests.api.stand import COLOURS, picture
from tests.contracts.samples import record
from tests.files.hostile_images import encoded


@pytest.fixture(scope="module")
def stand(shared_stand):
    return shared_stand


def found(response):
    assert response.status_code == 200, response.get_data(as_text=True)
    return [hit["key"] for hit in response.get_json()["hits"]]


def test_a_text_finds_the_nearest_image_first(client):
    assert found(client.get("/v1/search/text?q=something+red"))[0] == "red.png"
    assert found(client.post("/v1/search/text", json={"q": "green"}))[0] == "sub/green.png"


def test_an_answer_has_the_documented_form(client, stand):
    response = client.get("/v1/search/text?q=red&limit=1")
    body = response.get_json()
    assert set(body) == {
        *(
            "query_id",
            "model",
            "truncated",
            "next",
            "next_cursor",
            "confident",
            "read_as",
            "warnings",
            "hits",
            "facets",
            "timings_ms",
        )
    }
    assert body["query_id"] == response.headers["X-Request-ID"]
    assert body["model"] == stand.services.engine.embedder.model.name
    assert body["truncated"] is False
    assert body["timings_ms"]["total"] > 0
    [hit] = body["hits"]
    assert hit["id"] == stand.id("red.png")
    assert (hit["width"], hit["height"]) == (64, 48)
    assert hit["metadata"] == {"caption": "<b>red</b>"}
    assert -1 <= hit["score"] <= 1.000001
    for link in hit["links"].values():
        assert client.get(link).status_code == 200


@pytest.mark.parametrize("root", ["/any-image-id", "/id/version", "/photos/any-version"])
def test_links_are_below_any_root_path(make_stand, root):
    stand = make_stand(root_path=root)
    [hit] = stand.client.get("/v1/search/text?q=red&limit=1").get_json()["hits"]
    image = f"{root}/v1/images/{stand.id('red.png')}"
    links = {name: link.partition("?")[0] for name, link in hit["links"].items()}
    ends = {"self": "", "content": "/content", "thumbnail": "/thumbnail", "similar": "/similar"}
    assert links == {name: image + end for name, end in ends.items()}


@pytest.mark.parametrize("prefix", ["/one", "/other"])
def test_links_are_those_of_the_application_that_answers(prefix):
    app = Flask(__name__)
    register(app)
    ends = {"images.record": "", "images.content": "/content", "images.thumbnail": "/thumbnail", "search.similar": "/similar"}
    for endpoint, end in ends.items():
        app.add_url_rule(f"{prefix}/<image_id>{end}", endpoint, lambda image_id: image_id)
    image = record("a")
    with app.test_request_context():
        links = stored_image(image).get_json()["links"]
    assert [link.partition("?")[0] for link in links.values()] == [f"{prefix}/{image.id}{end}" for end in ends.values()]


def test_what_a_text_says_is_not_there_is_searched_for_with_a_negative_weight(client):
    answer = client.get("/v1/search/text?q=red+without+green")
    assert answer.get_json()["read_as"] == [{"text": "red", "weight": 1.0}, {"text": "green", "weight": -0.5}]
    assert found(answer)[0] == "red.png"
    assert found(answer) == found(client.post("/v1/search", json={"query": [{"text": "red"}, {"text": "green", "weight": -0.5}]}))
    assert found(client.get("/v1/search/text?q=not+red"))[-1] == "red.png"


def test_a_text_is_taken_as_it_stands_where_that_is_asked_for(client):
    assert client.get("/v1/search/text?q=red").get_json()["read_as"] is None
    for answer in (
        client.get("/v1/search/text?q=not+red&negation=false"),
        client.post("/v1/search/text", json={"q": "not red", "negation": False}),
    ):
        assert answer.get_json()["read_as"] is None
        assert found(answer)[0] == "red.png"


def test_hits_come_best_first(client):
    scores = [hit["score"] for hit in client.get("/v1/search/text?q=red").get_json()["hits"]]
    assert scores == sorted(scores, reverse=True)


class RecordingStore(MemoryStore):
    """Keeps the options of the last search."""

    def search(self, vectors, options, deadline=None):
        self.asked = options
        return super().search(vectors, options, deadline)


def test_every_search_can_be_exact(make_stand):
    stand = make_stand(store=RecordingStore())
    file = picture()
    similar = f"/v1/images/{stand.id('red.png')}/similar"
    asked = {
        "text": lambda exact: stand.client.get(f"/v1/search/text?q=red{exact and f'&exact={exact}'}"),
        "text in JSON": lambda exact: stand.client.post("/v1/search/text", json={"q": "red"} | ({"exact": True} if exact else {})),
        "image": lambda exact: stand.client.post(
            f"/v1/search/image{exact and f'?exact={exact}'}", data=file, content_type="image/png"
        ),
        "image in a form": lambda exact: stand.client.post(
            "/v1/search/image", data={"image": (io.BytesIO(file), "x.png")} | ({"exact": exact} if exact else {})
        ),
        "similar": lambda exact: stand.client.get(similar + (exact and f"?exact={exact}")),
    }
    for name, ask in asked.items():
        for exact in ("", "true"):
            assert found(ask(exact)), name
            assert stand.services.engine.store.asked.exact is bool(exact), name


def test_exact_is_true_or_false(client):
    body = client.get("/v1/search/text?q=red&exact=maybe").get_json()
    assert body["detail"] == "exact: must be true or false (got 'maybe')"


def test_pages_follow_each_other_until_next_is_null(client):
    whole = found(client.get("/v1/search/text?q=red"))
    assert len(whole) == len(COLOURS)
    paged, offset = [], 0
    while offset is not None:
        response = client.get(f"/v1/search/text?q=red&limit=3&offset={offset}")
        paged += found(response)
        offset = response.get_json()["next"]
    assert paged == whole


class EndlessStore(MemoryStore):
    """Finds its first image wherever a page begins."""

    def search(self, vectors, options, deadline=None):
        [[hit, *_]] = super().search(vectors, replace(options, offset=0), deadline)
        return [[hit] * options.limit]


def test_no_page_follows_the_last_that_can_be_asked_for(make_stand):
    client = make_stand(store=EndlessStore()).client
    offsets = [MAX_DEPTH - 1, MAX_DEPTH]
    following = [client.get(f"/v1/search/text?q=red&limit=1&offset={offset}").get_json()["next"] for offset in offsets]
    assert following == [MAX_DEPTH, None]


def test_an_offset_beyond_the_end_finds_nothing(client):
    assert found(client.get("/v1/search/text?q=red&offset=10000")) == []


def test_a_long_text_is_cut_and_says_so(client):
    assert client.post("/v1/search/text", json={"q": "red " * 200}).get_json()["truncated"] is True


@pytest.mark.parametrize(
    "text", ["http://127.0.0.1:9/x.png", "file:///etc/passwd", "/etc/passwd", "data:image/png;base64,AAAA", "../.."]
)
def test_a_text_is_only_ever_a_text(client, text):
    assert len(found(client.get("/v1/search/text", query_string={"q": text}))) == len(COLOURS)


def test_an_image_can_come_as_a_form_field_a_body_or_in_json(client):
    data = picture((35, 170, 70))
    encoded = base64.b64encode(data).decode()
    ways = [
        client.post("/v1/search/image", data={"image": (io.BytesIO(data), "x.png")}),
        client.post("/v1/search/image", data=data, content_type="image/png"),
        client.post("/v1/search/image", data=data, content_type="application/octet-stream"),
        client.post("/v1/search/image", json={"image": encoded}),
        client.post("/v1/search/image", json={"image": f"data:image/png;base64,{encoded}"}),
    ]
    answers = [found(response) for response in ways]
    assert answers[0][0] == "sub/green.png"
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.parametrize("format_", MEDIA_TYPES)
def test_a_picture_finds_itself_in_every_format_and_every_way_in(client, format_):
    data = encoded(Image.new("RGB", (64, 48), COLOURS["red.png"]), format_)

    as_body = client.post("/v1/search/image", data=data, content_type=MEDIA_TYPES[format_])
    as_form = client.post("/v1/search/image", data={"image": (io.BytesIO(data), "picture")})
    as_json = client.post("/v1/search/image", json={"image": base64.b64encode(data).decode()})

    assert [found(response)[0] for response in (as_body, as_form, as_json)] == ["red.png"] * 3


@pytest.mark.parametrize(
    "written",
    [
        "{lines}",
        "data:image/png;base64,{lines}",
        "data:application/octet-stream;base64,{one}",
        "DATA:IMAGE/PNG;BASE64,{one}",
        "data:image/png;name=a.png;base64,{one}",
        "data:;base64,{one}",
        " {one}\r\n",
    ],
)
def test_base64_is_read_as_people_and_programs_write_it(client, written):
    data = picture((35, 170, 70))
    text = written.format(one=base64.b64encode(data).decode(), lines=base64.encodebytes(data).decode().replace("\n", "\r\n"))
    assert found(client.post("/v1/search/image", json={"image": text}))[0] == "sub/green.png"


def test_an_image_search_takes_limit_and_offset(client):
    data = picture((35, 170, 70))
    by_query = client.post("/v1/search/image?limit=1&offset=1", data=data, content_type="image/png")
    in_json = client.post("/v1/search/image?limit=1&offset=1", json={"image": base64.b64encode(data).decode()})
    assert found(by_query) == found(in_json)
    assert len(found(by_query)) == 1


def test_similar_images_leave_out_the_image_itself(client, stand):
    keys = found(client.get(f"/v1/images/{stand.id('red.png')}/similar"))
    assert set(keys) == set(COLOURS) - {"red.png"}


def test_similar_images_come_in_pages(client, stand):
    url = f"/v1/images/{stand.id('red.png')}/similar"
    whole = found(client.get(url))
    first = client.get(f"{url}?limit=2")
    assert found(first) == whole[:2]
    assert first.get_json()["next"] == 2
    second = client.get(f"{url}?limit=2&offset=2")
    assert found(second) == whole[2:]
    assert second.get_json()["next"] is None


def test_text_of_any_script_is_valid(client):
    for text in ("пять собак", "犬が二匹", "🐕🐕", "Ünïcödé", "a\u0000b", "-" * 1000):
        assert len(found(client.post("/v1/search/text", data=json.dumps({"q": text}), content_type="application/json"))) == 4
