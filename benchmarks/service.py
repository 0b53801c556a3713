"""The service as users run it, a process of its own over a small corpus, and the requests that are sent to it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks.forward import Modality
from benchmarks.load import get, post
from benchmarks.photographs import photographs, write_corpus
from benchmarks.weights import texts
from ml_api.embedding.precision import Precision
from tests.e2e.server_process import Server

CORPUS_IMAGES = 64
OPEN_DOOR = {"queue_wait_s": 30}
"""For closed loops, whose clients bear any wait: a machine that stalls for a second shall show in the figures, not as refusals."""


@contextmanager
def running_service(model: Path, **settings: object) -> Iterator[Any]:
    """A ready `Server` with CORPUS_IMAGES indexed; with its text cache switched off."""
    settings = {"text_cache": 0} | settings
    with tempfile.TemporaryDirectory(prefix="ml-api-benchmark-") as name:
        folder = Path(name)
        write_corpus(folder / "images", CORPUS_IMAGES)
        server = Server(folder, folder / "images", model=model, log_level="warning", **settings)
        server.sync()
        with server:
            try:
                yield server
            except Exception as exc:
                exc.add_note(f"end of the service's log:\n{server.log()[-2000:]}")
                raise


def served_precision(model: Path) -> Precision:
    """The precision in which the service runs `model` on this machine: asked, as the choice is its own."""
    with running_service(model) as server:
        precision: Precision = server.json("/v1/model")["precision"]
        return precision


def requests(modality: Modality) -> Iterator[bytes]:
    """Without end. Texts repeat after 9,504, so no cache of a sensible size helps."""
    if modality == "text":
        return cycle([get(f"/v1/search/text?q={quote(text)}&limit=10") for text in texts()])
    return cycle([post("/v1/search/image?limit=10", data, "image/jpeg") for data in photographs()])
