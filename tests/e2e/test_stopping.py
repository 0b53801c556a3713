"""The real process ends when it is told to, at any moment: everybody answered, the store closed, nothing left, no traceback."""

import itertools
import os
import signal
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

import pytest

from tests.e2e.server_process import Server, children
from tests.e2e.test_admission import half_body, half_head, silent

PATIENCE_S = 60
SOON_S = 10
"""Docker's patience."""


@pytest.fixture(scope="module")
def folder(demo_corpus, tmp_path_factory):
    """With an index, for one server after the other."""
    folder = tmp_path_factory.mktemp("stopping")
    Server(folder, demo_corpus).sync()
    return folder


@pytest.fixture
def server(folder, demo_corpus):
    return Server(folder, demo_corpus)


@contextmanager
def callers(server, count=16):
    """Search all the time until refused a connection; what they were told."""
    answers, number = [], itertools.count()

    def go_on():
        while True:
            try:
                answers.append(server.get(f"/v1/search/text?q=dog+{next(number)}")[0])
            except URLError as error:
                if not isinstance(error.reason, ConnectionRefusedError):
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
    assert "Traceback" not in server.log()
    assert "could be closed" not in server.log()


@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGTERM, signal.SIGINT, signal.SIGTERM]], ids=["Ctrl-C", "SIGTERM"])
def test_under_load_with_half_sent_requests_open_all_are_answered(server, signals):
    with server:
        for ignored in (signal.SIGHUP, signal.SIGTTIN):  # a terminal is gone, or asked for input
            server.process.send_signal(ignored)
            assert server.get("/livez")[0] == 200
        left = children(server.process.pid)
        with callers(server) as answers, half_head(server), half_body(server), silent(server):
            while len(answers) < 50:
                time.sleep(0.01)
            for how in signals:
                os.killpg(server.process.pid, how)  # as a terminal does it
        assert_ended_well(server, left)
    odd = [answer for answer in answers if answer != 200]
    assert not odd, f"somebody was not answered: {odd}"


@pytest.mark.parametrize("after_s", [1.5, 3.0])
def test_while_it_starts_it_ends_as_well(server, after_s):
    server.start()
    time.sleep(after_s)  # no wait for something: the moment is what is tried
    left = children(server.process.pid)
    server.process.send_signal(signal.SIGTERM)
    assert_ended_well(server, left)
