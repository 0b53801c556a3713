"""The door of the real server: who comes on top of what it can do is told so at once, and nobody else suffers."""

import http.client
import json
import select
import socket
import time
from contextlib import ExitStack, closing, contextmanager

import pytest

from tests.e2e.server_process import Server

PATIENCE_S = 20
SOON_S = 8
"""Less than a silent client is waited for."""


@pytest.fixture(scope="module")
def small(demo_corpus, tmp_path_factory):
    """One request at work, one waiting, no more."""
    server = Server(tmp_path_factory.mktemp("small"), demo_corpus, threads=1, queue_limit=1)
    server.sync()
    with server:
        yield server


@pytest.fixture
def image(demo_corpus):
    return next(demo_corpus.rglob("*.jpg")).read_bytes()


def connect(server):
    return closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S))


def begin(server, image):
    """The connection of an upload that has begun and not ended, and has a place: with a thread if there is one, or waiting."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
        connection.putrequest("POST", "/v1/search/image")
        connection.putheader("Content-Type", "image/jpeg")
        connection.putheader("Content-Length", str(len(image)))
        connection.endheaders(image[:100])
        _until_seen(server)
        if not select.select([connection.sock], [], [], 0)[0]:
            return connection
        connection.close()  # refused: the request before has been answered, and is just about to leave its place
    raise AssertionError("there is no place to be had")


def _until_seen(server):
    """Connections are looked at in the order in which they come, so whatever was sent before this answer has been seen."""
    assert server.get("/livez")[0] == 200


def refusals(server):
    """As Prometheus sees them."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.metrics_port, timeout=PATIENCE_S)) as connection:
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
    counts = [float(line.split()[-1]) for line in lines if line.startswith('ml_api_rejected_total{reason="queue_full"}')]
    return counts[0] if counts else 0.0


def ask(connection, path):
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


@contextmanager
def full(server, image):
    """Inside, all places are taken; afterwards those who had them have their answers."""
    with ExitStack() as stack:
        uploads = [stack.enter_context(closing(begin(server, image))) for _ in range(2)]
        yield
        for upload in uploads:
            upload.send(image[100:])
        for upload in uploads:
            answer = upload.getresponse()
            answer.read()
            assert answer.status == 200


def test_more_than_can_be_answered_are_refused_at_once_and_told_what_to_do(small, image):
    with full(small, image), connect(small) as connection:
        before = refusals(small)
        status, headers, body = ask(connection, "/v1/search/text?q=dog")
        assert (status, json.loads(body)["code"]) == (503, "overloaded")
        assert headers["Content-Type"] == "application/problem+json"
        assert int(headers["Retry-After"]) >= 1
        assert refusals(small) == before + 1


def test_a_refused_search_may_try_again_on_its_connection(small, image):
    with connect(small) as connection:
        with full(small, image):
            assert [ask(connection, "/v1/search/text?q=dog")[0] for _ in range(3)] == [503] * 3
            kept = connection.sock
        deadline = time.monotonic() + PATIENCE_S
        while ask(connection, "/v1/search/text?q=dog")[0] != 200:
            assert time.monotonic() < deadline, "the places are not given back"
        assert connection.sock is kept


def test_a_refused_upload_is_seen_by_its_sender(small, image):
    with full(small, image):
        status, headers, body = small.post("/v1/search/image", image + bytes(5_000_000), "image/jpeg")
    assert (status, json.loads(body)["code"]) == (503, "overloaded")
    assert headers["Connection"] == "close"


def test_who_is_overloaded_is_alive_and_ready(small, image):
    with full(small, image):
        assert small.get("/livez")[0] == 200
        assert small.get("/readyz")[0] == 200


def test_refusals_are_counted_by_route_and_told_in_the_log(small, image):
    with full(small, image), connect(small) as connection:
        ask(connection, "/v1/search/text?q=dog")
        ask(connection, "/no/such/path")
        with closing(http.client.HTTPConnection("127.0.0.1", small.metrics_port, timeout=PATIENCE_S)) as metrics:
            metrics.request("GET", "/metrics")
            text = metrics.getresponse().read().decode()
    assert 'http_request_duration_seconds_count{method="GET",route="/v1/search/text",status="503"}' in text
    assert 'http_request_duration_seconds_count{method="GET",route="__unmatched__",status="503"}' in text
    deadline = time.monotonic() + PATIENCE_S
    while sum(line.get("ml_api.refused", 0) for line in small.log_lines()) < refusals(small):
        assert time.monotonic() < deadline, "the log does not tell of all"


def test_connections_that_say_nothing_take_no_place(small):
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(socket.create_connection(("127.0.0.1", small.port), timeout=PATIENCE_S))
        status, _, body = small.get("/v1/search/text?q=dog", timeout=PATIENCE_S)
    assert status == 200, body


def test_clients_that_hang_up_or_stay_on_hold_up_nobody(small, image):
    """Who has its answer and is not wanted any more neither takes a place nor the time of the thread that serves all others."""
    with ExitStack() as stack:
        kept = [stack.enter_context(connect(small)) for _ in range(5)]
        for connection in kept:
            assert ask(connection, "/livez")[0] == 200
        staying = [stack.enter_context(socket.create_connection(("127.0.0.1", small.port), timeout=PATIENCE_S)) for _ in range(5)]
        for client in staying:
            client.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert client.recv(12) == b"HTTP/1.1 200"
        stack.enter_context(closing(begin(small, image)))
        for connection in kept:
            connection.close()
        started = time.monotonic()
        stack.enter_context(closing(begin(small, image)))
        assert time.monotonic() - started < SOON_S
        with connect(small) as other:
            assert ask(other, "/v1/stats")[0] == 503


def test_a_client_that_falls_silent_is_given_up_and_its_place_with_it(small, image):
    with closing(begin(small, image)) as silent, connect(small) as half_said, connect(small) as other:
        half_said.connect()
        half_said.sock.sendall(b"GET /v1/stats HTT")
        _until_seen(small)
        assert ask(other, "/v1/stats")[0] == 503
        assert silent.getresponse().status == 400
        assert half_said.sock.recv(1) == b""
    with connect(small) as other:
        deadline = time.monotonic() + PATIENCE_S
        while ask(other, "/v1/stats")[0] != 200:
            assert time.monotonic() < deadline, "the places are not given back"
    assert "Traceback" not in small.log()
