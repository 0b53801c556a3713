"""The load generator measures what it says: a wrong ruler spoils every figure."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat

import pytest

from benchmarks.load import NO_ANSWER, closed_loop, get, open_loop, post

ANSWER_S = 0.05


class Peer(BaseHTTPRequestHandler):
    """Answers after ANSWER_S; `/refuse` at once with 503 and without reading the body, `/drop` not at all."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/drop":
            self.close_connection = True
            return
        time.sleep(ANSWER_S)
        self.answer(200)

    def do_POST(self):
        if self.path == "/refuse":
            self.answer(503, ("Connection", "close"))
            return
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(200)

    def answer(self, status, *headers):
        body = b"x" * 100_000
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for header in headers:
            self.send_header(*header)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def port():
    with ThreadingHTTPServer(("127.0.0.1", 0), Peer) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_closed_loop_keeps_each_client_busy_with_one_request_at_a_time(port):
    load = closed_loop(port, repeat(get("/")), clients=4, seconds=0.5).require_success()
    assert load.per_second <= 4 / ANSWER_S
    assert len(load.answers) >= 4
    assert min(load.succeeded) >= ANSWER_S


def test_open_loop_sends_at_its_rate_and_counts_waiting_from_the_time_due(port):
    load = open_loop(port, repeat(get("/")), per_second=40, seconds=0.5).require_success()
    assert len(load.answers) == 20
    dues = sorted(answer.due for answer in load.answers)
    assert dues[-1] - dues[0] == pytest.approx(19 / 40)


def test_big_bodies_and_answers_arrive_whole(port):
    load = closed_loop(port, repeat(post("/", b"y" * 1_000_000, "image/jpeg")), clients=2, seconds=0.1)
    assert set(load.statuses) == {200}


def test_refusals_and_dropped_connections_are_counted_and_are_no_success(port):
    refused = closed_loop(port, repeat(post("/refuse", b"", "image/jpeg")), clients=1, seconds=0.05)
    dropped = closed_loop(port, repeat(get("/drop")), clients=1, seconds=0.05)
    assert set(refused.statuses) == {503}
    assert set(dropped.statuses) == {NO_ANSWER}
    with pytest.raises(RuntimeError, match="failed"):
        dropped.require_success()


def test_a_server_that_is_gone_ends_the_run_in_time():
    load = closed_loop(1, repeat(get("/")), clients=1, seconds=0.1)
    assert set(load.statuses) == {NO_ANSWER}
