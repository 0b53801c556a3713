"""The real process ends when it is told to, at any moment: everybody answered, the store closed, nothing left, no traceback."""

import itertools
import json
import os
import signal
import threading
import time
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import URLError

import pytest

from tests.e2e.hung import HungServer, hopeless_searches
from tests.e2e.server_process import Server, children
from tests.e2e.test_admission import half_body, half_head, silent
from tests.e2e.test_serving import metrics_of
from tests.files import costly_images
from tests.waiting import PATIENCE_S, wait_until

SOON_S = 30
"""A service that was told to end gives up after 7 s, well before Docker's 10 s; on a busy machine its end takes longer. One that
waited for its callers, or for a model that hangs, would take longer than this on any."""

CUT_OFF = (ConnectionResetError, BrokenPipeError)
"""What a client sees of a connection that is closed: as it waits for the answer, and as it still sends the image."""


@pytest.fixture(scope="module")
def folder(demo_corpus, tmp_path_factory):
    """With an index, for one server after the other."""
    folder = tmp_path_factory.mktemp("stopping")
    Server(folder, demo_corpus).index()
    return folder


@pytest.fixture
def server(folder, demo_corpus):
    return Server(folder, demo_corpus)


@pytest.fixture(scope="module")
def photograph():
    """12 megapixels, as a phone takes them."""
    data = costly_images.photograph(4000, 3000, noise=40)
    assert len(data) > 3_000_000
    return data


def by_text(server):
    return lambda request_id: server.get(f"/v1/search/text?q=dog+{request_id}", headers={"X-Request-ID": request_id})


def by_photograph(server, data):
    def search(request_id):
        headers = {"Content-Type": "image/jpeg", "X-Request-ID": request_id}
        return server.open(urllib.request.Request(server.url + "/v1/search/image?limit=1", data, headers))

    return search


class Answers(list):
    """Statuses, or what went wrong."""

    def __init__(self):
        super().__init__()
        self.cut_off = set()
        """Requests without an answer, by their ids."""


@contextmanager
def callers(search, count=16):
    """Search all the time until refused a connection, or cut off; what they were told.

    Who connects at the moment of a stop may be cut off before anything of the request is read, and nothing but: such a request
    can be sent again. `assert_nobody_was_cut_off` looks whether one was read.
    """
    answers, numbers = Answers(), itertools.count()

    def go_on():
        while True:
            request_id = f"caller-{next(numbers)}"
            try:
                answers.append(search(request_id)[0])
            except CUT_OFF:  # also as RemoteDisconnected
                answers.cut_off.add(request_id)
                return
            except URLError as error:
                if isinstance(error.reason, CUT_OFF):
                    answers.cut_off.add(request_id)
                elif not isinstance(error.reason, ConnectionRefusedError):
                    answers.append(error)
                return

    threads = [threading.Thread(target=go_on) for _ in range(count)]
    for thread in threads:
        thread.start()
    yield answers
    for thread in threads:
        thread.join(PATIENCE_S)


def assert_ended_well(server, left):
    started = time.monotonic()
    assert server.process.wait(PATIENCE_S) == 0, server.log()
    assert time.monotonic() - started < SOON_S
    while any(Path(f"/proc/{pid}").exists() for pid in left):
        assert time.monotonic() - started < SOON_S, "something is left"
        time.sleep(0.01)
    problems = [line for line in server.log_lines() if line["log.level"] not in {"debug", "info"}]
    assert not problems


def assert_nobody_was_cut_off(server, answers):
    """Of those whose requests were read: the log has a line of each."""
    read = {line["http.request.id"] for line in server.log_lines() if "http.request.id" in line}
    assert len(read) >= len(answers)
    assert not answers.cut_off & read, f"read and not answered: {answers.cut_off & read}"


@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGTERM, signal.SIGINT, signal.SIGTERM]], ids=["Ctrl-C", "SIGTERM"])
def test_under_load_with_half_sent_requests_open_all_are_answered(server, signals):
    with server:
        # A terminal is gone, or asked for input; a log was rotated.
        for ignored in (signal.SIGHUP, signal.SIGTTIN, signal.SIGUSR1, signal.SIGUSR2):
            server.process.send_signal(ignored)
            assert server.get("/livez")[0] == 200
        left = children(server.process.pid)
        with half_head(server), half_body(server), silent(server):
            with callers(by_text(server)) as answers:
                wait_until(lambda: len(answers) >= 50)
                for how in signals:
                    os.killpg(server.process.pid, how)  # as a terminal does it
            assert_ended_well(server, left)
    odd = [answer for answer in answers if answer != 200]
    assert not odd, f"somebody was not answered: {odd}"
    assert_nobody_was_cut_off(server, answers)


@pytest.mark.parametrize("answered", [0, 6], ids=["while decoding processes start", "while they decode"])
def test_photographs_on_their_way_are_answered_though_their_decoders_hear_the_signals_too(server, photograph, answered):
    with server:
        with callers(by_photograph(server, photograph), 4) as answers:
            wait_until(lambda: decodes(server) and len(answers) >= answered and in_flight(server) == 4)
            left = children(server.process.pid)
            for how in (signal.SIGTERM, signal.SIGINT):
                os.killpg(server.process.pid, how)
        assert_ended_well(server, left)
    assert len(answers) >= max(4, answered)
    assert set(answers) == {200}
    assert_nobody_was_cut_off(server, answers)


def in_flight(server):
    return sum(float(line.split()[1]) for line in metrics_of(server).splitlines() if line.startswith("ml_api_requests{"))


def decodes(server):
    """Whether decoding processes are started, by the name of what they import first."""
    with suppress(FileNotFoundError):  # one that has just ended
        return any("ml_api.images.worker" in Path(f"/proc/{pid}/cmdline").read_text() for pid in children(server.process.pid))


@pytest.mark.parametrize("after_s", [1.5, 3.0])
def test_while_it_starts_it_ends_as_well(server, after_s):
    server.launch()
    time.sleep(after_s)  # no wait for something: the moment is what is tried
    left = children(server.process.pid)
    server.process.send_signal(signal.SIGTERM)
    assert_ended_well(server, left)


def test_a_model_that_hangs_does_not_outlive_the_signal(demo_corpus, tmp_path):
    server = HungServer(tmp_path, demo_corpus)
    image = next(demo_corpus.rglob("*.jpg")).read_bytes()
    with server:
        assert server.post("/v1/search/image", image, "image/jpeg")[0] == 200
        with hopeless_searches(server, 4) as answers:
            left = children(server.process.pid)
            told = time.monotonic()
            os.killpg(server.process.pid, signal.SIGTERM)
            code = server.process.wait(PATIENCE_S)
            assert code == 1, server.log()
            wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in left), PATIENCE_S, "its children are still there")
            assert time.monotonic() - told < SOON_S
    assert "stopped with 4 requests unanswered" in [line["message"] for line in server.log_lines()]
    assert [(status, json.loads(body)["code"]) for status, _, body in answers] == [(503, "shutting-down")] * 4


def test_whose_body_still_arrives_is_told_that_the_service_stops(server):
    with server:
        with half_body(server) as client:
            wait_until(lambda: 'ml_api_requests{state="reading"} 1.0' in metrics_of(server))
            server.process.send_signal(signal.SIGTERM)
            head, _, body = client.makefile("rb").read().partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert json.loads(body)["code"] == "shutting-down"
        assert_ended_well(server, [])
