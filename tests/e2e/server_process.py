"""The real server, as a user starts it: `python -m ml_api` in a process of its own, on free ports, in a folder of its own."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path

from ml_api.services import open_indexer
from ml_api.settings import load_settings
from monitoring.local.launcher import DIRECTLY, ServerProcess, answers, free_ports
from tests.models.converted_models import share_converted_models

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "demo" / "model"


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


class Server(ServerProcess):
    """A serving process. Use as a context: it is ready inside, and gone after."""

    program = ("ml_api", "serve")

    def __init__(self, folder, corpus, **settings):
        self.port, self.metrics_port = free_ports(2)
        self.url = f"http://127.0.0.1:{self.port}"
        self.settings = {
            "model": MODEL,
            "corpus": corpus,
            "data_dir": folder,
        } | settings
        super().__init__(
            [sys.executable, "-m", *self.program],
            partial(answers, f"{self.url}/readyz"),
            log=folder / f"server-{self.port}.log",
            cwd=folder,
        )

    def index(self):
        """What the command `sync` does, in the tests' own process, which has imported all that it takes."""
        share_converted_models(Path(self.settings["data_dir"]))
        settings = load_settings({f"ML_API_{name.upper()}": str(value) for name, value in self.settings.items()})
        with open_indexer(settings) as indexer:
            report = indexer.run(indexer.plan())
        assert report.outcomes.keys() == {"added"}

    def sync(self):
        result = run("sync", **self.settings)
        assert result.returncode == 0, result.stdout + result.stderr
        return result

    def launch(self):
        self._env = environment(port=self.port, metrics_port=self.metrics_port, **self.settings)
        super().launch()

    def stop(self, how=signal.SIGTERM):
        """Fails if it has to be killed."""
        code = super().stop(how)
        assert code != -signal.SIGKILL, f"it did not stop: {self.log()}"
        return code

    def log_lines(self):
        return [json.loads(line) for line in self.log().splitlines()]

    def get(self, path, timeout=60, headers=None):
        """Status, headers and body."""
        return self.open(urllib.request.Request(self.url + path, headers=headers or {}), timeout)

    def post(self, path, data, content_type):
        return self.open(urllib.request.Request(self.url + path, data, {"Content-Type": content_type}))

    def json(self, path):
        status, _, body = self.get(path)
        assert status == 200, body
        return json.loads(body)

    def open(self, request, timeout=60):
        try:
            with DIRECTLY.open(request, timeout=timeout) as response:
                return response.status, response.headers, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read()
