"""`python -m demo`, which `make demo` starts, more than once and beside what else runs."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from monitoring.local.launcher import ServerProcess, free_port
from tests.e2e.server_process import ROOT, environment
from tests.models.converted_models import share_converted_models
from tests.waiting import PATIENCE_S, wait_until


class Demo(ServerProcess):
    def __init__(self, data, output, count=24, **settings):
        command = [sys.executable, "-m", "demo", "--count", str(count), "--data", data]
        super().__init__(command, log=output, cwd=ROOT, env=environment(**settings) | {"TMPDIR": str(data.parent)})

    def url(self):
        """As soon as it is there."""

        def told():
            assert self.process.poll() is None, self.log()
            return re.search(r"search page +(http://[\d.:]+)/", self.log())

        return wait_until(told, 240, f"no address in {self.log_path}")[1]


@pytest.fixture
def start(tmp_path):
    started = []

    def start(**settings):
        started.append(Demo(tmp_path / "data", tmp_path / f"output-{len(started)}.txt", **settings))
        started[-1].launch()
        return started[-1]

    yield start
    for demo in started:
        demo.stop()


def share_models(tmp_path, *names):
    """Let demos of these names find the model converted: who converts it, and when, is not the subject here."""
    for name in names:
        (tmp_path / "data" / name).mkdir(parents=True)
        share_converted_models(tmp_path / "data" / name)


def get(url):
    with urllib.request.urlopen(url, timeout=60) as response:
        return json.load(response)


def test_two_at_once_take_ports_and_folders_of_their_own_and_a_third_says_first_where_they_are(start, tmp_path):
    """Settings for somebody's own pictures, in the environment, are none of theirs."""
    share_models(tmp_path, "demo", "demo-2")
    demos = [start(milvus_uri="http://192.0.2.1:19530", corpus="/nowhere") for _ in range(2)]
    urls = {demo: demo.url() for demo in demos}
    assert len(set(urls.values())) == 2
    for url in urls.values():
        assert get(f"{url}/v1/stats")["images"] == 24
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["demo", "demo-2"]
    first, second = sorted(demos, key=lambda demo: "a demo is running already" in demo.log())
    assert "already" not in first.log()
    assert f"this one is made in {tmp_path / 'data' / 'demo-2'}" in second.log()
    for demo in demos:
        command = re.search(r"on the command line, in (.+): (.+)", demo.log())
        found = subprocess.run(
            command[2] + " --json --limit 24",
            shell=True,
            cwd=command[1],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert len(json.loads(found.stdout)["hits"]) == 24, found.stderr
    third = start()
    wait_until(lambda: "\n" in third.log() or third.process.poll() is not None, otherwise="it said nothing")
    assert third.log().splitlines()[0] == (
        f"a demo is running already at {urls[first]}/, {urls[second]}/; this one is made in {tmp_path / 'data' / 'demo-3'}"
    )
    assert [demo.stop() for demo in demos] == [0, 0]


def test_ctrl_c_while_it_indexes_ends_all_of_it_with_one_line(start, tmp_path):
    """A terminal tells every process of it."""
    share_models(tmp_path, "demo")
    demo = start(count=200)
    wait_until(lambda: " loaded on " in demo.log() or demo.process.poll() is not None, 120, "it never began to index")
    os.killpg(demo.process.pid, signal.SIGINT)
    assert demo.process.wait(PATIENCE_S) == 130
    said = demo.log()
    assert re.search(r"^stopped after \d+ of 200; run it again to go on$", said, re.MULTILINE)
    for wrong in ("Traceback", "could not be started", "no images in"):
        assert wrong not in said
    assert not list(tmp_path.glob("ml-api-*"))
    drawn = [json.loads(line)["message"] for line in said.splitlines() if "drawing" in line]
    assert drawn[-1] == "drawing: 200 of 200 pictures"
    [closing] = [json.loads(line)["message"] for line in said.splitlines() if '"event.action": "sync"' in line]
    assert re.match(r"sync stopped after [\d.]+ s: ", closing)


def test_ctrl_c_while_it_draws_ends_all_of_it_without_a_word(start):
    """The pool's processes told their tracebacks."""
    demo = start(count=3_000)
    wait_until(lambda: "drawing: 600 of" in demo.log() or demo.process.poll() is not None, 120, "it never began to draw")
    os.killpg(demo.process.pid, signal.SIGINT)
    assert demo.process.wait(PATIENCE_S) == 130
    assert [json.loads(line)["message"][:8] for line in demo.log().splitlines()] == ["drawing:"] * demo.log().count("\n")


def test_a_port_that_was_asked_for_is_not_replaced(start, tmp_path):
    """And it is told before anything slow begins."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        demo = start(port=port, metrics_port=free_port())
        assert demo.process.wait(60) == 2
    assert demo.log().startswith(f"error: ML_API_PORT: port {port} of 127.0.0.1 is in use")
    assert not list((tmp_path / "data" / "demo" / "images").iterdir())


def test_a_file_in_the_place_of_its_folder_is_one_line(start, tmp_path):
    (tmp_path / "data").write_text("")
    demo = start()
    assert demo.process.wait(60) == 1
    assert demo.log() == f"error: {tmp_path / 'data' / 'demo'}: {os.strerror(20)}\n"
