"""What people send, through the real server: photographs as forms, addresses as they were typed, headers that claim something."""

import http.client
import io
import json
import os
import shutil
import subprocess
from urllib.parse import urlsplit

import pytest
from PIL import Image

from ml_api.settings import Settings

LIMIT = Settings.model_fields["max_upload_bytes"].default


@pytest.fixture(scope="module")
def photograph():
    """Twelve megapixels from a phone, some 6 MB."""
    file = io.BytesIO()
    Image.frombytes("RGB", (4032, 3024), os.urandom(4032 * 3024 * 3)).save(file, "JPEG", quality=40)
    assert 3_000_000 < len(file.getvalue()) < 12_000_000
    return file.getvalue()


def ask(server, target, method="GET", body=None, headers=None):
    """Status, headers and body, with the target as it is, not encoded."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    try:
        connection.putrequest(method, "/", skip_accept_encoding=True)
        connection._buffer[0] = f"{method} ".encode() + target + b" HTTP/1.1"
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def form(data, boundary="------------------------d74496d66958873e"):
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="IMG_0001.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    )
    return head.encode() + data + f"\r\n--{boundary}--\r\n".encode(), {"Content-Type": f"multipart/form-data; boundary={boundary}"}


@pytest.mark.parametrize("size", [0, 4_000_000, 8_000_000, 12_000_000, LIMIT])
def test_a_photograph_of_any_size_up_to_the_limit_is_searched_for_by_a_form(server, photograph, size):
    data = photograph.ljust(size, b"\0")
    body, headers = form(data)
    status, _, answer = ask(server, b"/v1/search/image?limit=3", "POST", body, headers)
    assert status == 200, answer
    assert len(json.loads(answer)["hits"]) == 3


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs the program curl")
def test_curl_sends_a_photograph_as_the_readme_says(server, photograph, tmp_path):
    (tmp_path / "photo.jpg").write_bytes(photograph)
    curl = [
        "curl",
        "-sS",
        "--fail-with-body",
        "-F",
        f"image=@{tmp_path / 'photo.jpg'}",
        "-F",
        "limit=2",
        f"{server.url}/v1/search/image",
    ]
    answered = subprocess.run(curl, capture_output=True, check=False, timeout=60)
    assert answered.returncode == 0, answered.stdout
    assert len(json.loads(answered.stdout)["hits"]) == 2
    assert answered.stdout.endswith(b"}\n")


def test_a_file_over_the_limit_is_refused_with_the_limit_and_its_setting(server, photograph):
    body, headers = form(photograph.ljust(LIMIT + 1, b"\0"))
    status, _, answer = ask(server, b"/v1/search/image", "POST", body, headers)
    assert status == 413
    assert f"{LIMIT:,}" in json.loads(answer)["detail"]
    assert "ML_API_MAX_UPLOAD_BYTES" in json.loads(answer)["detail"]


def test_an_address_as_it_was_typed_is_read_as_utf_8(server):
    typed, encoded = "/v1/search/text?q=Übersee&limit=1".encode(), b"/v1/search/text?q=%C3%9Cbersee&limit=1"
    hits = [json.loads(ask(server, target)[2])["hits"] for target in (typed, encoded)]
    assert hits[0] == hits[1]
    assert len(hits[0]) == 1


def test_an_address_in_another_encoding_is_refused(server):
    assert ask(server, b"/v1/search/text?q=caf\xe9")[0] == 400
    status, _, answer = ask(server, b"/v1/search/text?q=caf%E9")
    assert status == 400
    assert "curl -G --data-urlencode" in json.loads(answer)["detail"]


CLAIMS = {"SCRIPT_NAME": "/evil", "Script-Name": "/evil", "X-Forwarded-Prefix": "/evil", "X-Forwarded-For": "203.0.113.9"}


def test_headers_that_claim_another_place_have_no_effect(server):
    status, _, answer = ask(server, b"/v1/search/text?q=a+boat&limit=1", headers=CLAIMS | {"X-Request-ID": "claims-1"})
    assert status == 200
    assert b"evil" not in answer
    [line] = [
        line for line in server.log_lines() if line.get("http.request.id") == "claims-1" and "http.response.status_code" in line
    ]
    assert line["client.ip"] == "127.0.0.1"


@pytest.mark.parametrize(
    "target", [b"/", b"/static/page.js", b"/nowhere", b"/v1/stats/", b"/docs", b"/v1/search/text?limit=0", b"/livez"]
)
def test_every_answer_carries_the_id_of_its_request(server, target):
    status, headers, _ = ask(server, target, headers={"X-Request-ID": "mine-1"})
    assert status < 500
    assert headers["X-Request-ID"] == "mine-1"
