"""A real Milvus server (2.3.5, the oldest we support) for tests: one process, its own ports and folder, gone at the end.

The wheel `milvus` carries the standalone server. It lives in a folder of its own inside the virtual environment, where its package
is not on the import path. `make test` installs it there.
"""

import fcntl
import importlib.util
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from monitoring.local.launcher import ServerProcess, StartFailed, answers, free_ports

INSTALL = Path(sys.prefix) / "milvus-server"
PROGRAMS = INSTALL / "unpacked" / "bin"
PORTS = (
    *("etcd", "root_coord", "proxy", "proxy_internal", "query_coord", "query_node"),
    *("index_coord", "index_node", "data_coord", "data_node"),
)


class MilvusServer(ServerProcess):
    """Start with `start`, and again after `kill`: the data stay. Several may run at once.

    The server that starts again waits until the `lease_s` of the one that was killed has run out; one that is paused for longer
    exits. `settings` are those of the wheel's configuration template, such as `tls_mode`.
    """

    def __init__(self, folder: Path, lease_s: int = 30, **settings: int | str | bool) -> None:
        self._folder = folder
        self._lease_s = lease_s
        self._settings = settings
        self._choose_ports()
        super().__init__(
            [PROGRAMS / "milvus", "run", "standalone"],
            lambda: answers(f"http://{self.metrics_address}/healthz"),
            log=folder / "server.log",
            cwd=folder,
        )

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
        """A new server whose start failed is tried once more, in an emptied folder and on other ports; one with data, as it is.

        In one of some hundred starts the server crashes: its parts race with each other, and with other programs for the ports.
        """
        new = not (self._folder / "etcd.yaml").exists()
        try:
            super().start()
        except StartFailed:
            if new:
                shutil.rmtree(self._folder)
                self._folder.mkdir()
                self._choose_ports()
            super().start()

    def launch(self) -> None:
        package = _package()
        _unpack(package)
        if not (self._folder / "etcd.yaml").exists():
            self._configure(package)
        self._env = os.environ | self._environment()
        super().launch()

    def end(self) -> None:
        """For good: its folder, a quarter of a gigabyte, goes with it."""
        self.kill()
        shutil.rmtree(self._folder)

    def _choose_ports(self) -> None:
        self._ports = dict(zip((*PORTS, "etcd_peer", "health"), free_ports(len(PORTS) + 2), strict=True))

    def _environment(self) -> dict[str, str]:
        return {
            "DEPLOY_MODE": "STANDALONE",
            "ETCD_CONFIG_PATH": str(self._folder / "etcd.yaml"),
            "METRICS_PORT": str(self._ports["health"]),
            "MILVUS_RUN_DIR": str(self._folder / "run"),
            "LD_LIBRARY_PATH": str(PROGRAMS),
            # How often the server looks at what is to be loaded: a collection takes 2.4 s instead of 3 s. In ms.
            "QUERYCOORD_CHECKSEGMENTINTERVAL": "100",
            "QUERYCOORD_CHECKCHANNELINTERVAL": "100",
            "QUERYCOORD_DISTPULLINTERVAL": "50",
        }

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


def _unpack(package: Any) -> None:
    """Once for all test runs; a lock keeps two of them from unpacking at once."""
    with (INSTALL / "unpack.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        package._initialize_data_files(str(PROGRAMS.parent))
