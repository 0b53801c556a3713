"""Every kind of bad input gets its own precise problem, and the service works on as before."""

import base64
import io
import struct
import zlib

import pytest
from werkzeug.exceptions import RequestEntityTooLarge

from ml_api.api.parsing import BufferedRequest
from tests.api.stand import FORM_TYPE, assert_problem, form, picture

IN_JSON = "limit, offset, cursor, exact, min_score, min_relevance, group, diversity, sort, filter, facets, q, negation, match"
IN_URL = "cursor, diversity, exact, facets, filter, group, limit, match, min_relevance, min_score, negation, offset, q, sort"

LONE_SURROGATE = b'{"q": "\\ud83d"}'


@pytest.fixture(scope="module")
def stand(shared_stand):
    return shared_stand


@pytest.fixture(autouse=True)
def still_works(client):
    yield
    assert client.get("/v1/search/text?q=red").status_code == 200


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("", "q: is missing"),
        ("q=", "q: "),
        ("q=%20%09", "blank"),
        ("q=" + "x" * 1001, "at most 1,000 characters"),
        ("q=red&limit=0", "limit: "),
        ("q=red&limit=101", "limit: "),
        ("q=red&limit=ten", "'ten'"),
        ("q=red&limit=NaN", "limit: "),
        ("q=red&limit=1.5", "limit: "),
        ("q=red&limit=", "limit: "),
        ("q=red&offset=-1", "offset: "),
        ("q=red&offset=10001", "offset: "),
        ("q=red&limit=1&limit=2", "given 2 times"),
        (
            "q=red&limti=3",
            f"limti: is not a parameter; the parameters are {IN_URL}",
        ),
    ],
)
def test_a_bad_query_string(client, query, says):
    body = assert_problem(client.get(f"/v1/search/text?{query}"), 400, "invalid-query")
    assert says in body["detail"]


def test_every_problem_of_a_query_is_named_at_once(client):
    detail = assert_problem(client.get("/v1/search/text?q=&limit=abc&foo=1&offset=0&offset=1"), 400, "invalid-query")["detail"]
    assert detail.split("; ") == [
        "foo: is not a parameter",
        f"the parameters are {IN_URL}",
        "offset: was given 2 times",
        "give it once",
        "limit: must be a whole number from 1 to 100 (got 'abc')",
        "q: must not be empty (got '')",
    ]


@pytest.mark.parametrize("path", ["/v1/search/image", f"/v1/images/{'0' * 32}/similar"])
def test_every_problem_of_a_page_is_named_at_once(client, path):
    response = client.open(f"{path}?limit=0&offset=x&foo=1", method="POST" if path.endswith("image") else "GET")
    detail = assert_problem(response, 400, "invalid-query")["detail"]
    assert all(f"{name}: " in detail for name in ("limit", "offset", "foo"))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "q: is missing"),
        ({"q": 3}, "q: must be a text (got 3)"),
        ({"q": ""}, "q: must not be empty (got '')"),
        ({"q": "x" * 1001}, "q: must have at most 1,000 characters (got 1001 characters)"),
        ({"q": "red", "limit": 0}, "limit: must be a whole number from 1 to 100 (got 0)"),
        ({"q": "red", "limit": True}, "limit: must be a whole number from 1 to 100 (got true)"),
        ({"q": "red", "limit": 1.5}, "limit: must be a whole number from 1 to 100 (got 1.5)"),
        ({"q": "red", "limit": 10**30}, f"limit: must be a whole number from 1 to 100 (got {10**30})"),
        ({"q": "red", "offset": "ten"}, "offset: must be a whole number from 0 to 10,000 (got 'ten')"),
        (
            {"q": "red", "fliter": "x"},
            f"fliter: is not a parameter; the parameters are {IN_JSON}",
        ),
    ],
)
def test_a_problem_with_json_says_what_would_be_right(client, given, says):
    assert assert_problem(client.post("/v1/search/text", json=given), 400, "invalid-query")["detail"] == says


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid-json"),
        (b"{", "invalid-json"),
        (b"[1]", "invalid-json"),
        (b"null", "invalid-json"),
        (b'"red"', "invalid-json"),
        (b"\xff\xfe", "invalid-json"),
        (b"[" * 60_000, "invalid-json"),
        (b"{}", "invalid-query"),
        (b'{"q": null}', "invalid-query"),
        (b'{"q": 3}', "invalid-query"),
        (b'{"q": ["red"]}', "invalid-query"),
        (b'{"q": "red", "limit": "ten"}', "invalid-query"),
        (b'{"q": "red", "limit": NaN}', "invalid-query"),
        (b'{"q": "red", "limit": 1e400}', "invalid-query"),
        (b'{"q": "red", "limit": true}', "invalid-query"),
        (b'{"q": "red", "limit": 99999999999999999999999999}', "invalid-query"),
        (b'{"q": "red", "filter": "id != 0"}', "invalid-query"),
        (b'{"q": "red", "q": "blue"}', "invalid-query"),
        (b'{"q": "red", "\\ud800": 1}', "invalid-query"),
        (b'{"\\ud800": 1, "\\ud800": 2}', "invalid-query"),
        (LONE_SURROGATE, "invalid-query"),
    ],
)
def test_a_bad_json_body(client, body, code):
    assert_problem(client.post("/v1/search/text", data=body, content_type="application/json"), 400, code)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"q": "red", "q": "blue"}', "q: was given 2 times; give it once"),
        (
            b'{"q": "red", "\\ud800": 1}',
            f"\\ud800: is not a parameter; the parameters are {IN_JSON}",
        ),
        (
            '{"q": "red", "größe": 1}'.encode(),
            f"größe: is not a parameter; the parameters are {IN_JSON}",
        ),
        (
            '{"q": "red", "limit": "größe\\u001b\\ud800"}'.encode(),
            "limit: must be a whole number from 1 to 100 (got 'größe\\x1b\\ud800')",
        ),
    ],
)
def test_json_names_are_told_as_they_came(client, body, says):
    response = client.post("/v1/search/text", data=body, content_type="application/json")
    assert assert_problem(response, 400, "invalid-query")["detail"] == says


def test_ten_thousand_characters_are_too_many(client):
    assert_problem(client.post("/v1/search/text", json={"q": "x" * 10_000}), 400, "invalid-query")


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "", "multipart/form-data"])
def test_a_text_search_takes_json_only(client, content_type):
    assert_problem(client.post("/v1/search/text", data=b"q=red", content_type=content_type), 415, "unsupported-media-type")


@pytest.mark.parametrize("content_type", ["text/plain", "application/pdf", ""])
def test_an_image_search_names_the_types_it_takes(client, content_type):
    response = client.post("/v1/search/image", data=b"x", content_type=content_type)
    assert "multipart/form-data" in assert_problem(response, 415, "unsupported-media-type")["detail"]


@pytest.mark.parametrize(
    "text", ["http://127.0.0.1/x.png", "https://example.com/x.png", "data:image/png,abc", "data:text/html;base64,AAAA", "%%%", "é"]
)
def test_json_takes_base64_and_nothing_else(client, text):
    problem = assert_problem(client.post("/v1/search/image", json={"image": text}), 400, "invalid-base64")
    assert problem["detail"].startswith("image: ")


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"file": (io.BytesIO(b"x"), "x.png")},
        {"image": "not a file"},
        {"image": [(io.BytesIO(b"x"), "a"), (io.BytesIO(b"x"), "b")]},
    ],
)
def test_a_form_needs_one_file_called_image(client, form):
    response = client.post("/v1/search/image", data=form, content_type="multipart/form-data")
    assert_problem(response, 400, "missing-image")


def test_a_form_cut_off_in_the_middle(client):
    body = b'--B\r\nContent-Disposition: form-data; name="image"; filename="x.png"\r\n\r\nabc'
    response = client.post("/v1/search/image", data=body, content_type="multipart/form-data; boundary=B")
    assert 400 <= response.status_code < 500
    assert response.content_type == "application/problem+json"


def png(width, height):
    """A PNG of one colour, small whatever its dimensions say."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = zlib.compress(b"\0" * min(height * (width + 1), 1_000_000))
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


JPEG = picture(size=(200, 150), kind="JPEG")


BAD_IMAGES = {
    "empty": (b"", {"image-empty"}),
    "text named .jpg": (b"just text, whatever its name", {"image-format"}),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>", {"image-format"}),
    "PDF": (b"%PDF-1.7\n%...", {"image-format"}),
    "EPS": (b"%!PS-Adobe-3.0 EPSF-3.0\n", {"image-format"}),
    "a quarter of a JPEG": (JPEG[: len(JPEG) // 4], {"image-truncated", "image-damaged"}),
    "half a JPEG": (JPEG[: len(JPEG) // 2], {"image-truncated"}),
    "three quarters of a JPEG": (JPEG[: 3 * len(JPEG) // 4], {"image-truncated"}),
    "30000 x 1 pixels": (png(30_000, 1), {"image-too-elongated"}),
    "20000 x 20000 pixels": (png(20_000, 20_000), {"image-too-many-pixels"}),
}


@pytest.mark.parametrize(("data", "codes"), BAD_IMAGES.values(), ids=BAD_IMAGES.keys())
def test_a_bad_image(client, data, codes):
    in_form = client.post("/v1/search/image", data=form(data), content_type=FORM_TYPE)
    as_body = client.post("/v1/search/image", data=data, content_type="image/jpeg")
    in_json = client.post("/v1/search/image", json={"image": base64.b64encode(data).decode()}) if data else as_body
    for response in (in_form, as_body, in_json):
        code = response.get_json()["code"]
        assert assert_problem(response, 422, code)["detail"].startswith("image: ")
        assert code in codes


def test_an_empty_image_in_json(client):
    assert_problem(client.post("/v1/search/image", json={"image": ""}), 400, "invalid-query")


def test_an_image_over_the_limit(client):
    assert_problem(client.post("/v1/search/image", data=b"x" * 210_000, content_type="image/png"), 413, "too-large")


def test_a_body_over_the_limit(client):
    assert_problem(client.post("/v1/search/image", data=b"x" * 1_000_000, content_type="image/png"), 413, "too-large")
    assert_problem(client.post("/v1/search/text", data=b'"' + b"x" * 1_000_000, content_type="application/json"), 413, "too-large")


@pytest.mark.parametrize("suffix", ["", "/similar", "/content", "/thumbnail", "/heatmap?q=red"])
@pytest.mark.parametrize(
    "bad", ["1", "x" * 32, "A" * 32, "0" * 33, "..%2f..%2fetc%2fpasswd", "'%20or%201==1", "%00" * 32, "%f0%9f%90%95"]
)
def test_a_malformed_id(client, bad, suffix):
    response = client.get(f"/v1/images/{bad}{suffix}")
    assert response.status_code in {400, 404}
    assert_problem(response, response.status_code, "invalid-id" if response.status_code == 400 else "no-such-route")


@pytest.mark.parametrize("suffix", ["", "/similar", "/content", "/thumbnail", "/heatmap?q=red"])
def test_an_unknown_id(client, suffix):
    assert_problem(client.get(f"/v1/images/{'0' * 32}{suffix}"), 404, "not-found")


def test_an_unknown_route_and_a_wrong_method(client):
    assert_problem(client.get("/v2/search"), 404, "no-such-route")
    response = client.delete("/v1/search/text?q=x")
    assert_problem(response, 405, "method-not-allowed")
    assert set(response.headers["Allow"].split(", ")) >= {"GET", "POST"}


def test_who_gets_the_route_of_posted_searches_is_told_that_of_texts(stand):
    """The first guess of many."""
    problem = assert_problem(stand.client.get("/v1/search?q=hat"), 405, "method-not-allowed")
    assert problem["detail"] == "/v1/search does not take GET; it takes OPTIONS, POST; GET is taken by /v1/search/text"


def test_unknown_names_beyond_a_few_are_counted(client):
    answer = client.post("/v1/search/text", json={"q": "red"} | {f"x{number}": 1 for number in range(20)})
    body = assert_problem(answer, 400, "invalid-query")
    assert body["detail"] == f"x0, x1, x10, x11, x12 and 15 more: are not parameters; the parameters are {IN_JSON}"


def test_a_text_search_of_megabytes_is_refused_before_it_is_parsed(client):
    answer = client.post("/v1/search/text", data=b'{"q": "red", ' + b" " * 70_000 + b"}", content_type="application/json")
    assert "65,536" in assert_problem(answer, 413, "too-large")["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b"{" + b",".join(b'"%x":1' % number for number in range(10_000)) + b"}",
        b'{"image": [' + b"1," * 10_000 + b"1]}",
    ],
    ids=["names", "numbers"],
)
def test_a_json_body_of_many_values_is_no_image(client, body):
    answer = client.post("/v1/search/image", data=body, content_type="application/json")
    assert "image" in assert_problem(answer, 400, "invalid-json")["detail"]


def test_a_body_that_is_in_memory_is_not_copied():
    """20 MB took 28 ms, in which Python did nothing else."""
    body = bytes(100_000)
    held = io.BytesIO(body)
    request = BufferedRequest(
        {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "100000", "wsgi.input": held, "wsgi.input_terminated": True}
    )
    request.max_content_length = 10**6

    assert request.get_data(cache=False) is body


def test_a_body_that_is_in_memory_is_limited():
    request = BufferedRequest({"REQUEST_METHOD": "POST", "wsgi.input": io.BytesIO(bytes(11)), "wsgi.input_terminated": True})
    request.max_content_length = 10

    with pytest.raises(RequestEntityTooLarge):
        request.get_data()
