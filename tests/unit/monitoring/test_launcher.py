"""Servers are started, waited for and ended as whoever starts them expects."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from monitoring.local.launcher import ENDING, ServerProcess, StartFailed, answers, free_port, free_ports, listens, undisturbed
from tests.waiting import wait_until

WITH_A_CHILD = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
print(child.pid, flush=True)
child.wait()
"""


@pytest.fixture
def server(tmp_path):
    port = free_port()
    command = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory", tmp_path, str(port)]
    server = ServerProcess(command, partial(answers, f"http://127.0.0.1:{port}/"), log=tmp_path / "log.txt")
    server.port = port
    yield server
    server.kill()


def test_it_is_ready_inside_and_gone_after(server):
    with server:
        assert listens(server.port)
        assert "GET / HTTP/1.1" in server.log()
    assert server.process.returncode == -signal.SIGTERM
    assert not listens(server.port)


def test_it_starts_again_on_its_port_and_goes_on_in_its_log(server):
    for _ in range(2):
        server.start()
        server.kill()
    assert server.log().count("Serving HTTP") == 2


def test_one_that_ends_is_told_with_its_last_words(tmp_path):
    server = ServerProcess([sys.executable, "-c", "raise SystemExit('no disk')"], lambda: False, log=tmp_path / "log.txt")
    with pytest.raises(StartFailed, match="did not start; end of its log:\nno disk"):
        server.start()
    assert server.process.returncode == 1


def test_what_it_started_is_killed_with_it(tmp_path):
    log = tmp_path / "log.txt"
    server = ServerProcess([sys.executable, "-c", WITH_A_CHILD], lambda: log.read_text().endswith("\n"), log=log)
    server.start()
    child = int(server.log())
    server.kill()
    wait_until(lambda: not Path(f"/proc/{child}").exists(), otherwise="the child is still there")


def test_what_one_started_that_ended_too_early_is_killed(tmp_path):
    code = WITH_A_CHILD.replace("child.wait()", "")
    server = ServerProcess([sys.executable, "-c", code], lambda: False, log=tmp_path / "log.txt")
    with pytest.raises(StartFailed):
        server.start()
    child = int(server.log().split()[0])
    wait_until(lambda: not Path(f"/proc/{child}").exists(), otherwise="the child is still there")


PARENT = """
import sys
from monitoring.local.launcher import ServerProcess
server = ServerProcess([sys.executable, "-c", "import signal; signal.pause()"])
server.launch()
print(server.process.pid, flush=True)
server.process.wait()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's end")
@pytest.mark.parametrize("hung", [False, True])
def test_who_is_killed_takes_it_along(hung):
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        wait_until(lambda: "setpriv" not in Path(f"/proc/{child}/comm").read_text())
        if hung:
            os.kill(child, signal.SIGSTOP)
        parent.kill()
    wait_until(lambda: not Path(f"/proc/{child}").exists(), otherwise="it is still there")


@pytest.fixture
def handlers():
    before = {number: signal.getsignal(number) for number in ENDING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_during_a_start_that_fails_is_heeded_after(handlers, number):
    came = []
    signal.signal(number, lambda number, _: came.append(number))
    with suppress(FileNotFoundError), undisturbed():
        signal.raise_signal(number)
        assert came == []
        raise FileNotFoundError
    assert came == [number]


def test_a_signal_that_is_ignored_stays_so(handlers):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with undisturbed():
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_stopping_one_that_never_ran_is_nothing():
    assert ServerProcess(["nothing"]).stop() is None


def test_ports_differ_and_the_usual_one_is_taken_where_it_is_free():
    assert len(set(free_ports(20))) == 20
    usual = free_port()
    assert free_port(usual) == usual
    with socket.create_server(("127.0.0.1", usual)):
        assert free_port(usual) != usual


def test_an_answer_is_a_success(server):
    with server:
        assert answers(f"http://127.0.0.1:{server.port}/log.txt")
        assert not answers(f"http://127.0.0.1:{server.port}/nothing")
    assert not answers(f"http://127.0.0.1:{server.port}/log.txt")
