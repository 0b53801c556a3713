"""Prometheus, Alertmanager and the node exporter as child processes: found, started, waited for, stopped.

They are on the PATH, under the names that Debian or upstream gives them.
"""

import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from monitoring.local.signals import undisturbed

START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 15
_DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Whatever proxy the environment names: what is asked runs here."""


class MissingProgram(Exception):
    """A program that is not on this machine. The message names the Debian package."""


class StartFailed(Exception):
    """A daemon that ended, or was not ready in time. The message ends with the end of its log."""


def find(package: str, *names: str) -> Path:
    """The first of `names` that is installed. Raises MissingProgram."""
    for name in names:
        if found := shutil.which(name):
            return Path(found)
    raise MissingProgram(f"the program {names[0]} is missing; it comes with Debian's package {package}")


def choose_port(usual: int = 0) -> int:
    """The usual port if it is free on this machine, else any that is."""
    for port in (usual, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise StartFailed("no port is free")


class Daemon:
    """A server on 127.0.0.1. Use as a context: it is ready inside, and gone after; `log` holds what it printed."""

    def __init__(self, command: list[str | Path], port: int, ready_path: str, log: Path) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.log = log
        self._command = command
        self._ready_url = self.url + ready_path
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when it is ready. Raises StartFailed if it does not become so."""
        try:
            with self.log.open("ab") as output, undisturbed():
                # In a process group of its own, so that a Ctrl-C reaches only who started it, who then stops it in order.
                self._process = subprocess.Popen(self._command, stdout=output, stderr=output, start_new_session=True)  # noqa: S603 found by us
            self._wait(self._process)
        except BaseException:  # a Ctrl-C among them
            self.stop()
            raise

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._ready():
            if process.poll() is not None or time.monotonic() > deadline:
                tail = self.log.read_text(errors="replace")[-2000:]
                raise StartFailed(f"{self._command[0]} did not start; end of its log:\n{tail}")
            time.sleep(0.05)

    def _ready(self) -> bool:
        try:
            with _DIRECTLY.open(self._ready_url, timeout=2):
                return True
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False


def prometheus(configuration: Path, folder: Path, port: int) -> Daemon:
    """`folder` takes its data and its log. Raises MissingProgram."""
    command: list[str | Path] = [
        find("prometheus", "prometheus"),
        f"--config.file={configuration}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        "--storage.tsdb.retention.time=45d",  # the objectives look back 30 days
        f"--web.listen-address=127.0.0.1:{port}",
        f"--web.external-url=http://127.0.0.1:{port}/",  # where links in alerts lead
        "--enable-feature=exemplar-storage",
    ]
    return Daemon(command, port, "/-/ready", folder / "prometheus.log")


def alertmanager(configuration: Path, folder: Path, port: int) -> Daemon:
    """`folder` takes its data and its log. Raises MissingProgram."""
    command: list[str | Path] = [
        find("prometheus-alertmanager", "prometheus-alertmanager", "alertmanager"),
        f"--config.file={configuration}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        f"--web.external-url=http://127.0.0.1:{port}/",  # where links in alerts lead
        "--cluster.listen-address=",  # alone: no cluster, no port for one
    ]
    return Daemon(command, port, "/-/ready", folder / "alertmanager.log")


def node_exporter(folder: Path, port: int) -> Daemon:
    """`folder` takes its log. Raises MissingProgram."""
    program = find("prometheus-node-exporter", "prometheus-node-exporter", "node_exporter")
    return Daemon([program, f"--web.listen-address=127.0.0.1:{port}"], port, "/", folder / "node-exporter.log")
