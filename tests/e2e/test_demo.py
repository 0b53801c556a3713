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

from tests.e2e.server_process import ROOT, environment, free_port
from tests.prometheus_server import wait_until


class Demo:
    def __init__(self, data, output, **settings):
        self.output = output
        with output.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "demo", "--count", "24", "--data", str(data)],
                cwd=ROOT,
                env=environment(**settings),
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    def said(self):
        return self.output.read_text()

    def url(self):
        """As soon as it is there."""

        def told():
            assert self.process.poll() is None, self.said()
            return re.search(r"search page +(http://[\d.:]+)/", self.said())

        return wait_until(told, 240, f"no address in {self.output}")[1]

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@pytest.fixture
def start(tmp_path):
    started = []

    def start(**settings):
        started.append(Demo(tmp_path / "data", tmp_path / f"output-{len(started)}.txt", **settings))
        return started[-1]

    yield start
    for demo in started:
        demo.stop()


def get(url):
    with urllib.request.urlopen(url, timeout=30) as response:
        return json.load(response)


def test_two_at_once_take_ports_and_folders_of_their_own(start, tmp_path):
    """Settings for somebody's own pictures, in the environment, are none of theirs."""
    demos = [start(milvus_uri="http://192.0.2.1:19530", corpus="/nowhere") for _ in range(2)]
    urls = {demo.url() for demo in demos}
    assert len(urls) == 2
    for url in urls:
        assert get(f"{url}/v1/stats")["images"] == 24
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["demo", "demo-2"]
    assert [demo.stop() for demo in demos] == [0, 0]


def test_a_port_that_was_asked_for_is_not_replaced(start, tmp_path):
    """And it is told before anything slow begins."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        demo = start(port=port, metrics_port=free_port())
        assert demo.process.wait(60) == 2
    assert demo.said().startswith(f"error: ML_API_PORT: port {port} of 127.0.0.1 is in use")
    assert not list((tmp_path / "data" / "demo" / "images").iterdir())


def test_a_file_in_the_place_of_its_folder_is_one_line(start, tmp_path):
    (tmp_path / "data").write_text("")
    demo = start()
    assert demo.process.wait(60) == 1
    assert demo.said() == f"error: {tmp_path / 'data' / 'demo'}: {os.strerror(20)}\n"
