"""The door of the real server: who comes on top of what it can do is told so at once, and nobody who sends slowly holds it up."""

import http.client
import json
import re
import resource
import select
import socket
import threading
import time
from contextlib import ExitStack, closing, contextmanager

import pytest

from tests.e2e.hung import HungServer, hopeless_searches
from tests.e2e.server_process import Server
from tests.e2e.test_serving import metrics_of
from tests.waiting import PATIENCE_S, wait_until

SLOW_CLIENTS = 200
DESCRIPTORS = 256


@pytest.fixture(scope="module")
def small(demo_corpus, tmp_path_factory):
    """One request at work, one waiting, no more."""
    server = Server(tmp_path_factory.mktemp("small"), demo_corpus, threads=1, queue_limit=1)
    server.index()
    with server:
        yield server


@pytest.fixture
def image(demo_corpus):
    return next(demo_corpus.rglob("*.jpg")).read_bytes()


def connect(server):
    return closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S))


def ask(connection, path):
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


@contextmanager
def crowd(server, image, clients=8):
    """Inside, more ask than can be answered."""
    enough = threading.Event()

    def go_on():
        while not enough.is_set():
            status = server.post("/v1/search/image", image, "image/jpeg")[0]
            assert status in {200, 503}

    threads = [threading.Thread(target=go_on) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        enough.set()
        for thread in threads:
            thread.join()


def refused(connection):
    """A search that came on top of all others."""

    def refusal():
        answer = ask(connection, "/v1/search/text?q=dog")
        return answer[0] == 503 and answer

    return wait_until(refusal, PATIENCE_S, "everybody is let in")


def test_more_than_can_be_answered_are_refused_told_and_may_try_again_on_their_connection(small, image):
    with connect(small) as connection:
        with crowd(small, image):
            _, headers, body = refused(connection)
            kept = connection.sock
        assert ask(connection, "/v1/search/text?q=dog")[0] == 200
        assert connection.sock is kept
    assert json.loads(body)["code"] == "overloaded"
    assert json.loads(body)["request_id"] == headers["X-Request-ID"]
    assert headers["Content-Type"] == "application/problem+json"
    assert int(headers["Retry-After"]) >= 1


def test_refusals_are_counted_by_route_and_told_in_the_log_once_a_second(small, image):
    with connect(small) as connection, crowd(small, image):
        refused(connection)
    text = metrics_of(small)
    assert 'http_request_duration_seconds_count{method="GET",route="/v1/search/text",status="503"}' in text
    [total] = [line for line in text.splitlines() if line.startswith('ml_api_rejected_total{reason="queue_full"}')]

    def told():
        return [line for line in small.log_lines() if line["message"].startswith("refused")]

    wait_until(
        lambda: sum(line["ml_api.times"] for line in told()) == float(total.split()[-1]), PATIENCE_S, "not all are in the log"
    )


def test_the_page_and_its_files_are_served_while_searches_are_refused(small, image):
    """A page came without two of its stylesheets."""
    with crowd(small, image), connect(small) as visitor, connect(small) as searcher:
        refused(searcher)
        page = ask(visitor, "/")
        files = re.findall(r'(?:href|src)="(/static/[^"]+)"', page[2].decode())
        statuses = {path: ask(visitor, path)[0] for path in files}
    assert page[0] == 200
    assert len(files) > 5
    assert set(statuses.values()) == {200}, statuses


def test_a_refused_upload_is_seen_by_its_sender(small, image):
    with crowd(small, image):
        deadline = time.monotonic() + PATIENCE_S
        while (answer := small.post("/v1/search/image", image + bytes(5_000_000), "image/jpeg"))[0] != 503:
            assert time.monotonic() < deadline, "everybody is let in"
    assert json.loads(answer[2])["code"] == "overloaded"


def half_head(server):
    return socket_with(server, b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")


def half_body(server):
    head = b"POST /v1/search/image HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\nContent-Length: 5000\r\n\r\n"
    return socket_with(server, head + b"x" * 100)


def silent(server):
    return socket_with(server, b"")


def deaf(server):
    """Asks for much, and reads nothing."""
    return socket_with(server, b"GET /v1/images?limit=100 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 20)


def socket_with(server, data):
    client = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S)
    client.sendall(data)
    return closing(client)


@pytest.mark.parametrize("hostile", [half_head, half_body, silent, deaf])
def test_two_hundred_clients_that_dawdle_hold_up_nobody(small, hostile):
    with ExitStack() as stack, connect(small) as other:
        for _ in range(SLOW_CLIENTS):
            stack.enter_context(hostile(small))
        for path in ("/livez", "/readyz", "/v1/search/text?q=dog"):
            wait_until(lambda path=path: ask(other, path)[0] == 200, PATIENCE_S, f"{path} is not answered")
    assert "Traceback" not in small.log()


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\nabc\r\n0\r\n\r\n",
        b"-3\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabcdef\r\n0\r\n\r\n",
        b"3;\x00\r\nabcX\r\n",
        b"ffffffffffffffffff\r\nabc",
        b"3\r\nabc\r\n5\r\nab",
    ],
    ids=["no number", "negative", "longer than stated", "no line end", "overflow", "broken off"],
)
def test_malformed_chunks_are_a_400(small, body):
    head = b"POST /v1/search/image HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n\r\n"

    def admitted():
        """Not while clients of an earlier test are still being served."""
        with socket_with(small, head + body) as client:
            client.shutdown(socket.SHUT_WR)
            answer = client.makefile("rb").read()
        return None if answer.startswith(b"HTTP/1.1 503 ") else answer

    answer = wait_until(admitted, PATIENCE_S, "it is always refused")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"x-request-id: " in answer.lower()
    assert "Traceback" not in small.log()


@pytest.mark.parametrize("expects", [b"", b"Expect: 100-continue\r\n"], ids=["plain", "expects 100"])
def test_a_length_over_the_limit_is_refused_before_the_body_is_sent(small, expects):
    head = b"POST /v1/search/image HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\nContent-Length: 60000000\r\n"
    with socket_with(small, head + expects + b"\r\n") as client:
        client.settimeout(PATIENCE_S)
        answer = client.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_refusals_and_checks_of_a_model_that_hangs_do_not_wait_for_each_other(demo_corpus, tmp_path):
    """Each refusal took 4.5 s while two checks of readiness did."""
    oversized = b"POST /v1/search/image HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\nContent-Length: 60000000\r\n\r\n"
    check = b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with HungServer(tmp_path, demo_corpus) as server, hopeless_searches(server, 1), ExitStack() as stack:
        checks = [stack.enter_context(socket_with(server, check)) for _ in range(2)]
        for _ in range(50):
            with socket_with(server, oversized) as client:
                assert client.recv(65536).startswith(b"HTTP/1.1 413 ")
        assert not select.select(checks, [], [], 0)[0]
        assert all(client.recv(65536).startswith(b"HTTP/1.1 503 ") for client in checks)
        server.stop()  # the search would wait for its deadline


def test_a_client_that_expects_100_is_told_to_go_on(small, image):
    lines = ["POST /v1/search/image HTTP/1.1", "Host: 127.0.0.1", "Content-Type: image/jpeg", f"Content-Length: {len(image)}"]
    head = "\r\n".join([*lines, "Expect: 100-continue", "", ""])
    with socket_with(small, head.encode()) as client:
        assert client.recv(65536).startswith(b"HTTP/1.1 100 ")
        client.sendall(image)
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")


class Cramped(Server):
    """With few descriptors, half of which are for connections."""

    def launch(self):
        super().launch()
        resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))


def test_more_silent_clients_than_descriptors_keep_nobody_from_being_answered(demo_corpus, tmp_path):
    """Health checks waited for 19 s, until the first of them had been silent for long enough."""
    server = Cramped(tmp_path, demo_corpus)
    server.index()
    with server, ExitStack() as stack:
        for _ in range(DESCRIPTORS + 50):
            stack.enter_context(silent(server))
        started = time.monotonic()
        assert server.get("/livez")[0] == 200
        assert time.monotonic() - started < 8
        assert server.get("/v1/search/text?q=dog")[0] == 200
    assert any("idle connections" in line["message"] for line in server.log_lines())
    assert "Traceback" not in server.log()
