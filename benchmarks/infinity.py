"""michaelfeil/infinity, the peer that serves CLIP embeddings over HTTP: as a process of its own, and the requests it takes."""

import base64
import json
import os
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

from benchmarks.forward import Modality
from benchmarks.load import HOST, post
from benchmarks.photographs import photographs
from benchmarks.weights import MODULE, texts
from tests.e2e.server_process import free_port

PROGRAM = Path(__file__).parents[1] / ".cache" / "peers" / "infinity" / "bin" / "infinity_emb"
NAME = "peer"
START_TIMEOUT_S = 180
STOP_TIMEOUT_S = 30


def is_installed() -> bool:
    return PROGRAM.exists()


@contextmanager
def running_infinity(model: Path) -> Iterator[int]:
    """The port of a ready infinity with its own defaults, but without what its versions of the libraries no longer support."""
    port = free_port()
    options = ["--device", "cpu", "--no-bettertransformer", "--no-vector-disk-cache", "--host", HOST, "--port", str(port)]
    command = [str(PROGRAM), "v2", "--model-id", str(model / MODULE), "--served-model-name", NAME, *options]
    inherited = {name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    quiet = {"DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1"}
    with tempfile.NamedTemporaryFile(prefix="infinity-", suffix=".log") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=inherited | quiet)  # noqa: S603 - our own words
        try:
            _await(process, port, Path(log.name))
            yield port
        finally:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def requests(modality: Modality) -> Iterator[bytes]:
    """Without end; images as data URIs, the only form it takes beside URLs."""
    if modality == "text":
        inputs = texts()
    else:
        inputs = [f"data:image/jpeg;base64,{base64.b64encode(data).decode()}" for data in photographs()]
    bodies = [json.dumps({"model": NAME, "modality": modality, "input": [one]}).encode() for one in inputs]
    return cycle([post("/embeddings", body, "application/json") for body in bodies])


def _await(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not _is_ready(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"infinity did not start; end of its log:\n{log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.5)


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
