"""michaelfeil/infinity, the peer that serves CLIP embeddings over HTTP: as a process of its own, and the requests it takes."""

import base64
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import cycle
from pathlib import Path

from benchmarks.forward import Modality
from benchmarks.load import HOST, post
from benchmarks.photographs import photographs
from benchmarks.weights import MODULE, texts
from monitoring.local.launcher import ServerProcess, answers, free_port

PROGRAM = Path(__file__).parents[1] / ".cache" / "peers" / "infinity" / "bin" / "infinity_emb"
NAME = "peer"
PREFIX = "/v1"
"""As OpenAI's API has it."""


def is_installed() -> bool:
    return PROGRAM.exists()


@contextmanager
def running_infinity(model: Path) -> Iterator[int]:
    """The port of a ready infinity with its own defaults, but without what its versions of the libraries no longer support."""
    port = free_port()
    options = ["--device", "cpu", "--no-bettertransformer", "--no-vector-disk-cache", "--url-prefix", PREFIX]
    options += ["--host", HOST, "--port", str(port)]
    command = [str(PROGRAM), "v2", "--model-id", str(model / MODULE), "--served-model-name", NAME, *options]
    inherited = {name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    quiet = {"DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1"}
    with tempfile.NamedTemporaryFile(prefix="infinity-", suffix=".log") as log:
        ready = partial(answers, f"http://{HOST}:{port}/health")
        with ServerProcess(command, ready, log=Path(log.name), env=inherited | quiet):
            yield port


def requests(modality: Modality, model: str = NAME) -> Iterator[bytes]:
    """Without end, of one input each; images as data URIs, the only form it takes beside URLs. This service takes them, too."""
    if modality == "text":
        inputs = texts()
    else:
        inputs = [f"data:image/jpeg;base64,{base64.b64encode(data).decode()}" for data in photographs()]
    bodies = [json.dumps({"model": model, "modality": modality, "input": [one]}).encode() for one in inputs]
    return cycle([post(f"{PREFIX}/embeddings", body, "application/json") for body in bodies])
