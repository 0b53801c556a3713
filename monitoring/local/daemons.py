"""Prometheus, Alertmanager and the node exporter: where they are on this machine, and how each is started.

They are on the PATH, under the names that Debian or upstream gives them.
"""

import shutil
from functools import partial
from pathlib import Path

from monitoring.local.launcher import HOST, ServerProcess, answers


class MissingProgram(Exception):
    """A program that is not on this machine. The message names the Debian package."""


def find(package: str, *names: str) -> Path:
    """The first of `names` that is installed. Raises MissingProgram."""
    for name in names:
        if found := shutil.which(name):
            return Path(found)
    raise MissingProgram(f"the program {names[0]} is missing; it comes with Debian's package {package}")


class Daemon(ServerProcess):
    """One of them, on 127.0.0.1."""

    def __init__(self, command: list[str | Path], port: int, ready_path: str, log: Path) -> None:
        self.port = port
        self.url = f"http://{HOST}:{port}"
        super().__init__(command, partial(answers, self.url + ready_path), log=log)


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
