"""The real server, as a user starts it: `python -m ml_api` in a process of its own, on free ports, in a folder of its own."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from tests.converted_models import share_converted_models

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "demo" / "model"
START_TIMEOUT_S = 120
DIRECTLY = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Whatever proxy the environment names."""


def free_port():
    """Below those that systems give to outgoing connections: nothing takes it while a server loads its model."""
    while True:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", random.randint(10_000, 32_000)))
            return probe.getsockname()[1]


def environment(**settings):
    """This process's environment without its ML_API_* variables, plus `settings` (without the prefix)."""
    if "data_dir" in settings:
        share_converted_models(Path(settings["data_dir"]))
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ML_API_")}
    return (
        clean
        | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
        | {f"ML_API_{name.upper()}": str(value) for name, value in settings.items()}
    )


def run(*arguments, timeout=180, **settings):
    """Run one command of the application to its end, in an empty folder: a `.env` of the checkout is not the tests' business."""
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run(
            [sys.executable, "-m", "ml_api", *map(str, arguments)],
            cwd=folder,
            env=environment(**settings),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )


def children(pid):
    """Every process below this one."""
    found = [int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]
    return found + [grandchild for child in found for grandchild in children(child)]


class Server:
    """A serving process. Use as a context: it is ready inside, and gone after."""

    program = ("ml_api", "serve")

    def __init__(self, folder, corpus, **settings):
        self.port, self.metrics_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.settings = {
            "model": MODEL,
            "corpus": corpus,
            "data_dir": folder,
        } | settings
        self.log_path = folder / f"server-{self.port}.log"
        self.cwd = folder
        self.process = None

    def sync(self):
        result = run("sync", **self.settings)
        assert result.returncode == 0, result.stdout + result.stderr
        return result

    def start(self):
        """Without waiting until it is ready."""
        with self.log_path.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *self.program],
                cwd=self.cwd,
                env=environment(port=self.port, metrics_port=self.metrics_port, **self.settings),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a process group that tests can interrupt, as a terminal does
            )

    def __enter__(self):
        self.start()
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._is_ready():
            assert self.process.poll() is None, f"the server ended: {self.log()}"
            assert time.monotonic() < deadline, f"the server is not ready: {self.log()}"
            time.sleep(0.1)
        return self

    def __exit__(self, *exc):
        self.stop()

    def stop(self, how=signal.SIGTERM):
        """Send a signal and wait. Returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def log(self):
        return self.log_path.read_text()

    def log_lines(self):
        return [json.loads(line) for line in self.log().splitlines()]

    def get(self, path, timeout=30):
        """Status, headers and body."""
        return self.open(urllib.request.Request(self.url + path), timeout)

    def post(self, path, data, content_type):
        return self.open(urllib.request.Request(self.url + path, data, {"Content-Type": content_type}))

    def json(self, path):
        status, _, body = self.get(path)
        assert status == 200, body
        return json.loads(body)

    def open(self, request, timeout=30):
        try:
            with DIRECTLY.open(request, timeout=timeout) as response:
                return response.status, response.headers, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()

    def _is_ready(self):
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False
