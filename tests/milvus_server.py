"""A real Milvus server (2.3.5, the oldest we support) for tests: one process, its own ports and folder, gone at the end.

The wheel `milvus` carries the standalone server. It lives in a folder of its own inside the virtual environment, where its package
is not on the import path. `make test` installs it there.
"""

import contextlib
import fcntl
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import ModuleType
from typing import Any

INSTALL = Path(sys.prefix) / "milvus-server"
PORTS = (
    *("etcd", "root_coord", "proxy", "proxy_internal", "query_coord", "query_node"),
    *("index_coord", "index_node", "data_coord", "data_node"),
)
START_TIMEOUT_S = 120


class MilvusServer:
    """Start with `start`, and again after `kill`: the data stay. Several may run at once.

    The server that starts again waits until the `lease_s` of the one that was killed has run out. `settings` are those of the
    wheel's configuration template, such as `tls_mode`.
    """

    def __init__(self, folder: Path, lease_s: int = 30, **settings: int | str | bool) -> None:
        self._folder = folder
        self._lease_s = lease_s
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._ports = dict(zip((*PORTS, "etcd_peer", "health"), _free_ports(len(PORTS) + 2), strict=True))

    @property
    def port(self) -> int:
        return self._ports["proxy"]

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def metrics_address(self) -> str:
        return f"127.0.0.1:{self._ports['health']}"

    def start(self) -> None:
        """Returns when the server is healthy. Raises RuntimeError, with the end of its log, if it does not become so."""
        package = _package()
        programs = _programs(package)
        if not (self._folder / "etcd.yaml").exists():
            self._configure(package)
        log = self._folder / "server.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [programs / "milvus", "run", "standalone"],
                cwd=self._folder,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env=os.environ
                | {
                    "DEPLOY_MODE": "STANDALONE",
                    "ETCD_CONFIG_PATH": str(self._folder / "etcd.yaml"),
                    "METRICS_PORT": str(self._ports["health"]),
                    "MILVUS_RUN_DIR": str(self._folder / "run"),
                    "LD_LIBRARY_PATH": str(programs),
                },
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._healthy():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                tail = log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"the Milvus server did not start; end of its log:\n{tail}")
            time.sleep(0.1)

    def pause(self) -> None:
        """Hang it: it keeps its connections and answers nothing. For longer than its lease, and it will exit."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _configure(self, package: Any) -> None:
        ports = {f"{name}_port": self._ports[name] for name in PORTS}
        config = package.MilvusServerConfig(data_dir=str(self._folder), **ports)
        config.set("proxy.timeTickInterval", 20)  # ms instead of 200: how long a read of the newest state waits
        config.set("common.session.ttl", self._lease_s)
        for name, value in self._settings.items():
            config.set(name, value)
        config.resolve()
        # The wheel's template leaves the embedded etcd on ports 2379 and 2380, so that a second server could not start.
        client, peer = (f"http://127.0.0.1:{self._ports[name]}" for name in ("etcd", "etcd_peer"))
        (self._folder / "etcd.yaml").write_text(
            f"name: default\ndata-dir: {config.get('etcd_data_dir')}\n"
            f"listen-client-urls: {client}\nadvertise-client-urls: {client}\n"
            f"listen-peer-urls: {peer}\ninitial-advertise-peer-urls: {peer}\ninitial-cluster: default={peer}\n"
        )

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._ports['health']}/healthz", timeout=5) as answer:
                return b"OK" in answer.read()
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False


def _package() -> ModuleType:
    source = INSTALL / "milvus" / "__init__.py"
    if not source.exists():
        raise RuntimeError("these tests need the Milvus server (a wheel of 57 MB): `make .venv/.milvus-server` installs it, once")
    spec = importlib.util.spec_from_file_location("milvus_wheel", source)
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    return package


def _programs(package: Any) -> Path:
    """Unpack the server once for all test runs; a lock keeps two of them from unpacking at once."""
    with (INSTALL / "unpack.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        package._initialize_data_files(str(INSTALL / "unpacked"))
    return INSTALL / "unpacked" / "bin"


def _free_ports(count: int) -> list[int]:
    """Free at this moment: all are held open until the last is known, so that they differ."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for held in sockets:
            held.bind(("127.0.0.1", 0))
        return [held.getsockname()[1] for held in sockets]
