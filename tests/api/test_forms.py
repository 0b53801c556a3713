"""Images sent as forms: any file up to the limit, however the bytes arrive, and nothing in a form is passed over in silence."""

import io
import os

import pytest
from flask import Request
from PIL import Image
from werkzeug.test import EnvironBuilder

from ml_api.api.form import read_form
from ml_api.errors import InvalidInput
from ml_api.images import ImageLimits
from tests.api.stand import BOUNDARY, FORM_TYPE, assert_problem, build_stand, form, picture, write_corpus

LIMIT = 20 * 2**20
CHUNK = 64 * 1024


@pytest.fixture(scope="module")
def stand(shared_stand):
    return shared_stand


class Dribble(io.RawIOBase):
    """A body that arrives in pieces of these sizes, the last of them over and over."""

    def __init__(self, body, *sizes):
        self._body, self._sizes = io.BytesIO(body), list(sizes)

    def readable(self):
        return True

    def readinto(self, buffer):
        size = self._sizes.pop(0) if len(self._sizes) > 1 else self._sizes[0]
        return self._body.readinto(memoryview(buffer)[:size])


def field(name, value):
    return b'--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (BOUNDARY, name.encode(), value.encode())


def received(body, *sizes):
    environ = EnvironBuilder(method="POST").get_environ()
    environ |= {"wsgi.input": Dribble(body, *sizes), "CONTENT_TYPE": FORM_TYPE, "CONTENT_LENGTH": str(len(body))}
    [file] = read_form(Request(environ)).files["image"]
    return file.data


@pytest.mark.parametrize(
    "data",
    [os.urandom(200), b"\r\n" * 100, b"\r" * 200, b"\n" * 200, b"--" * 100, b"\r\n--" + BOUNDARY[:-1]],
    ids=["noise", "CRLF", "CR", "LF", "dashes", "nearly the boundary"],
)
def test_a_file_arrives_to_the_byte_wherever_the_body_is_cut(data):
    body = form(data)
    for cut in range(1, len(body)):
        assert received(body, cut, CHUNK) == data, f"cut after {cut} of {len(body)} bytes"
    assert received(body, 1) == data


@pytest.mark.parametrize("past", range(-3, 4))
def test_a_file_whose_end_meets_the_end_of_a_chunk_arrives_to_the_byte(past):
    data = os.urandom(3 * CHUNK - len(form(b"")) + past)
    for size in (CHUNK, CHUNK - 1, 4096, 1460):
        assert received(form(data), size) == data


@pytest.fixture(scope="module")
def roomy(tmp_path_factory):
    """An application with the limits that it has when nobody sets any."""
    folder = tmp_path_factory.mktemp("forms")
    stand = build_stand(write_corpus(folder / "corpus"), folder / "thumbnails", limits=ImageLimits(LIMIT, 100_000_000, 20))
    yield stand
    stand.services.close()


def padded(size):
    """A JPEG with so many bytes, most of them noise after its end, which decoders pass over."""
    image = picture(kind="JPEG", size=(16, 16))
    return image + os.urandom(size - len(image))


@pytest.mark.parametrize(
    "size", [1_000, 60_000, 65_536, 100_000, 131_072, 150_000, 200_000, 1_000_000, 3_500_000, 12_000_000, LIMIT]
)
def test_a_form_carries_a_file_of_any_size_up_to_the_limit(roomy, size):
    for offset in range(1 if size > 5_000_000 else 20):
        data = padded(size - offset)
        response = roomy.client.post("/v1/search/image", data=form(data), content_type=FORM_TYPE)
        assert response.status_code == 200, (len(data), response.get_data(as_text=True))


def test_a_photograph_of_twelve_megapixels_is_found_by_a_form_as_by_its_bytes(roomy):
    noise = Image.frombytes("RGB", (4032, 3024), os.urandom(4032 * 3024 * 3))
    file = io.BytesIO()
    noise.save(file, "JPEG", quality=40)
    data = file.getvalue()
    assert 3_000_000 < len(data) < 12_000_000
    by_form = roomy.client.post("/v1/search/image", data=form(data), content_type=FORM_TYPE).get_json()
    by_body = roomy.client.post("/v1/search/image", data=data, content_type="image/jpeg").get_json()
    assert by_form["hits"] == by_body["hits"]
    assert by_form["hits"]


@pytest.mark.parametrize("over", [1, 1_000_000, LIMIT])
def test_a_refusal_names_the_limit_and_its_setting(roomy, over):
    response = roomy.client.post("/v1/search/image", data=form(padded(LIMIT + over)), content_type=FORM_TYPE)
    detail = assert_problem(response, 413, "too-large")["detail"]
    assert "20,971,520" in detail
    assert "ML_API_MAX_UPLOAD_BYTES" in detail


def odd_field(header, value=b"2"):
    return b"--%s\r\n%s\r\n\r\n%s\r\n" % (BOUNDARY, header, value)


@pytest.mark.parametrize("charset", [b"foo", b"base64", b"undefined", b"utf-16", b'"a\0b"'])
def test_a_fields_charset_is_passed_over_and_its_text_is_utf_8(client, charset):
    header = b'Content-Disposition: form-data; name="limit"\r\nContent-Type: text/plain; charset=' + charset
    response = client.post("/v1/search/image", data=odd_field(header) + form(picture()), content_type=FORM_TYPE)
    assert len(response.get_json()["hits"]) == 2


@pytest.mark.parametrize("name", [b'name="lim\0it"', b'name="ima\0ge"; filename="a.png"'])
def test_a_name_with_a_nul_is_a_malformed_form(client, name):
    body = odd_field(b"Content-Disposition: form-data; " + name) + form(picture())
    assert_problem(client.post("/v1/search/image", data=body, content_type=FORM_TYPE), 400, "invalid-multipart")


def test_a_field_that_is_not_utf_8_is_a_malformed_form(client):
    body = odd_field(b'Content-Disposition: form-data; name="limit"', b"\xff") + form(picture())
    assert_problem(client.post("/v1/search/image", data=body, content_type=FORM_TYPE), 400, "invalid-multipart")


def test_limit_and_offset_in_a_form_count_like_those_in_the_url(client):
    in_url = client.post("/v1/search/image?limit=2&offset=1", data=form(picture()), content_type=FORM_TYPE)
    in_form = client.post(
        "/v1/search/image", data=form(picture(), field("limit", "2") + field("offset", "1")), content_type=FORM_TYPE
    )
    assert in_form.get_json()["hits"] == in_url.get_json()["hits"]
    assert len(in_form.get_json()["hits"]) == 2


@pytest.mark.parametrize(
    ("query", "fields", "says"),
    [
        ("", {"limit": "0"}, "limit: "),
        ("", {"limit": "many"}, "'many'"),
        ("", {"offset": "-1"}, "offset: "),
        ("?limit=2", {"limit": "2"}, "limit: was given in the URL and in the form; give it once"),
        (
            "",
            {"limti": "2"},
            "limti: is not a field of this form; the fields are image, limit, offset, cursor, exact, min_",
        ),
        ("", {"q": "red", "crop": "1"}, "crop, q: is not a field"),
        ("?q=red", {}, "q: is not a parameter"),
    ],
)
def test_no_field_of_a_form_is_passed_over_in_silence(client, query, fields, says):
    before = b"".join(field(name, value) for name, value in fields.items())
    response = client.post(f"/v1/search/image{query}", data=form(picture(), before), content_type=FORM_TYPE)
    assert says in assert_problem(response, 400, "invalid-query")["detail"]


def test_a_field_sent_twice_is_refused(client):
    body = form(picture(), field("limit", "1") + field("limit", "2"))
    response = client.post("/v1/search/image", data=body, content_type=FORM_TYPE)
    assert "limit: was given 2 times" in assert_problem(response, 400, "invalid-query")["detail"]


def test_a_second_file_is_refused_by_name(client):
    files = {"image": (io.BytesIO(picture()), "a.png"), "mask": (io.BytesIO(picture()), "b.png")}
    assert "mask: " in assert_problem(client.post("/v1/search/image", data=files), 400, "invalid-query")["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"abc",
        form(b"x")[:-4],
        form(b"x")[: len(form(b"x")) // 2],
        form(b"x").replace(b"\r\n\r\n", b"\r\n"),
        form(b"x", b"\0" * 99),
    ],
)
def test_a_malformed_form_is_refused(body):
    with pytest.raises(InvalidInput) as raised:
        received(body, CHUNK)
    assert raised.value.slug == "invalid-multipart"


def test_a_form_of_thousands_of_fields_is_refused(client):
    before = b"".join(field(f"f{number}", "1") for number in range(1_000))
    response = client.post("/v1/search/image", data=form(picture(), before), content_type=FORM_TYPE)
    assert "at most 32 fields" in assert_problem(response, 400, "invalid-multipart")["detail"]


def test_a_form_without_a_boundary_names_the_cause(client):
    response = client.post("/v1/search/image", data=form(picture()), content_type="multipart/form-data")
    assert "boundary" in assert_problem(response, 400, "invalid-multipart")["detail"]
