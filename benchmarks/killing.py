"""What programs are killed in, and how what is there afterwards is compared with what should be."""

import io
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from ml_api.metrics import Metrics
from ml_api.services.parts import milvus_store
from ml_api.settings import Settings
from ml_api.vectors.files.base import Row
from ml_api.vectors.files.opening import open_vectors
from tests.e2e.server_process import MODEL, Server, environment, run

IMAGES: Final = 300
ROWS: Final = 12_000
"""Of the file that is imported."""

ALIKE: Final = 0.999
"""Cosine: batches of other sizes give other last digits."""

Contents = dict[str, npt.NDArray[np.float32]]
"""Of each key, its vector."""


@dataclass(frozen=True)
class Ground:
    """Where all of it happens, and by what chance."""

    folder: Path
    chance: random.Random
    images: int = IMAGES
    rows: int = ROWS

    def corpus(self) -> Path:
        folder = self.folder / "corpus"
        if not folder.exists():
            folder.mkdir()
            for number in range(self.images):
                (folder / f"{number:04}.png").write_bytes(picture(number))
        return folder

    def fresh(self, name: str) -> Path:
        shutil.rmtree(self.folder / name, ignore_errors=True)
        (self.folder / name).mkdir()
        return self.folder / name


def picture(number: int) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((64, 64), Image.Resampling.NEAREST).save(file, "PNG")
    return file.getvalue()


def killed(
    arguments: list[Any], settings: dict[str, Any], begun: Callable[[], bool], chance: random.Random, within_s: float
) -> bool:
    """Run a command, and kill it at any moment from when it has begun; whether it had not ended by itself."""
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "ml_api", *map(str, arguments)],
        env=environment(**settings),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None and not begun():
        time.sleep(0.005)
    time.sleep(chance.uniform(0, within_s))
    was_running = process.poll() is None
    process.kill()
    process.wait()
    return was_running


def ended(*arguments: Any, **settings: Any) -> str:
    result = run(*arguments, timeout=900, **settings)
    assert result.returncode == 0, result.stdout + result.stderr
    return str(result.stdout)


def of_file(path: Path) -> Contents:
    found: Contents = {}
    for row in open_vectors(path).read():
        assert isinstance(row, Row)
        key = str(row.fields["key"])
        assert key not in found, f"{key} is there twice"
        found[key] = row.vector
    return found


def of_store(data: Path, corpus: Path, model: Path = MODEL) -> Contents:
    settings = Settings(corpus=corpus, model=str(model), data_dir=data)
    with closing(milvus_store(settings, Metrics())) as store:
        store.open_current()
        entries = list(store.entries())
        vectors = store.vectors([entry.id for entry in entries])
        assert len(vectors) == len(entries) == store.count(), "an id is there twice, or without its vector"
    return {entry.key: vectors[entry.id] for entry in entries}


def assert_same(found: Contents, wanted: Contents) -> None:
    assert set(found) == set(wanted)
    for key, vector in found.items():
        assert float(vector @ wanted[key]) > ALIKE, f"{key} has another vector"


def kill(service: Server) -> None:
    service.process.kill()
    service.process.wait(30)
