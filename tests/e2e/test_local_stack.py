"""`python -m monitoring.local`, as `make monitor` starts it: the stack comes up, and leaves nothing behind."""

import os
import re
import shutil
import signal
import sys
from pathlib import Path

import pytest

from monitoring.local.launcher import ServerProcess, free_ports
from tests.e2e.server_process import MODEL, children, environment
from tests.models.converted_models import share_converted_models
from tests.servers.prometheus import Prometheus
from tests.waiting import wait_until


class Stack(ServerProcess):
    """The launcher, in a folder of its own."""

    def __init__(self, folder, corpus, path=None):
        port, metrics_port = free_ports(2)
        (folder / "kept").mkdir()
        share_converted_models(folder / "kept")
        settings = environment(model=MODEL, corpus=corpus, port=port, metrics_port=metrics_port, data_dir="kept")
        super().__init__(
            [sys.executable, "-m", "monitoring.local"],
            log=folder / "output.txt",
            cwd=folder,
            env=settings | {"PATH": path or os.environ["PATH"]},
        )

    def says(self, pattern):
        """The match of a pattern, as soon as it is printed."""

        def printed():
            found = re.search(pattern, self.log())
            assert found or self.process.poll() is None, self.log()
            return found

        return wait_until(printed, 60, f"nothing printed like {pattern}")


@pytest.fixture
def start(demo_corpus, tmp_path):
    started = []

    def start(path=None):
        started.append(Stack(tmp_path, demo_corpus, path))
        started[-1].launch()
        return started[-1]

    yield start
    for stack in started:
        stack.stop()


def test_everything_is_watched_and_nothing_stays(start):
    stack = start()
    prometheus = Prometheus(stack.says(r"Prometheus +(\S+)/targets")[1])
    stack.says("search page")
    targets = prometheus.wait_for_targets(60)
    assert {target["labels"]["job"] for target in targets} == {"ml-api", "prometheus", "alertmanager", "node"}
    assert {group["name"] for group in prometheus.api("rules")["groups"]} >= {"objectives", "store", "monitoring"}
    assert len(prometheus.api("alertmanagers")["activeAlertmanagers"]) == 1
    processes = children(stack.process.pid)
    assert len(processes) >= 4
    assert stack.stop(signal.SIGINT) == 0
    # The decoder's end when they notice that the service has.
    wait_until(lambda: not [pid for pid in processes if Path(f"/proc/{pid}").exists()], otherwise="processes are left")


def test_what_is_missing_is_named_and_the_rest_started(start, tmp_path):
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "prometheus").symlink_to(shutil.which("prometheus"))
    stack = start(path=str(programs))
    stack.says("Without alertmanager: .* Debian's package prometheus-alertmanager")
    stack.says("Without node: .* Debian's package prometheus-node-exporter")
    stack.says("Prometheus +http")
    assert stack.stop(signal.SIGTERM) == 0


def test_without_prometheus_it_names_the_package(start, tmp_path):
    stack = start(path=str(tmp_path))
    assert stack.process.wait(60) == 2
    assert "error: the program prometheus is missing; it comes with Debian's package prometheus\n" in stack.log()
