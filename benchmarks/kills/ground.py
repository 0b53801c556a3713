"""Where processes are killed: a corpus, a store, and what is found there afterwards."""

import io
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image
from pymilvus import MilvusClient

from ml_api.metrics import Metrics
from ml_api.services.parts import milvus_store
from ml_api.settings import Settings
from ml_api.vectors.files.base import Row
from ml_api.vectors.files.opening import open_vectors
from ml_api.vectors.milvus import MilvusEndpoint
from ml_api.vectors.milvus.connection import connect
from tests.e2e.server_process import MODEL, environment, run
from tests.models.tiny_clip import build_tiny_clip
from tests.servers.milvus import MilvusServer

IMAGES: Final = 300
ROWS: Final = 12_000
"""Of the file that is imported."""

ALIKE: Final = 0.999
"""Cosine: batches of other sizes give other last digits."""

Contents = dict[str, npt.NDArray[np.float32]]
"""Of each key, its vector."""
Place = dict[str, Any]
"""Settings of a service or command: a data folder, and a collection on the server if there is one."""


@dataclass(frozen=True)
class Ground:
    """Where all of it happens, and by what chance."""

    folder: Path
    chance: random.Random
    images: int = IMAGES
    rows: int = ROWS
    milvus: MilvusServer | None = None
    """Milvus Lite if there is none."""
    _numbers: Iterator[int] = field(default_factory=count)

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

    def place(self, name: str, corpus: Path | None = None, model: Path = MODEL) -> Place:
        """A new one, with nothing in it."""
        place: Place = {"model": model, "corpus": corpus or self.corpus(), "data_dir": self.fresh(name)}
        if self.milvus is not None:
            place |= {"milvus_uri": self.milvus.uri, "collection": f"kills_{next(self._numbers)}"}
        return place

    def indexed(self, name: str) -> Place:
        """A new one, with the corpus in it."""
        place = self.place(name)
        if self.milvus is not None:
            ended("sync", **place)
            return place
        whole = self.folder / "indexed"
        if not whole.exists():
            whole.mkdir()
            ended("sync", **place | {"data_dir": whole})
        shutil.copytree(whole, place["data_dir"], dirs_exist_ok=True)
        return place

    def collections(self, place: Place) -> int:
        """How many the store has of this place: one for each model."""
        if self.milvus is None:
            return len(list((place["data_dir"] / "milvus.db" / "collections").glob("*")))
        return sum(name.startswith(f"{place['collection']}_") for name in self._client.list_collections(timeout=10))

    @cached_property
    def _client(self) -> MilvusClient:
        assert self.milvus is not None
        return connect(MilvusEndpoint(self.milvus.uri), self.milvus.uri, 10)

    def tiny(self) -> Path:
        """Another model."""
        path = self.folder / "tiny"
        return path if path.exists() else Path(build_tiny_clip(path))


def picture(number: int) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((64, 64), Image.Resampling.NEAREST).save(file, "PNG")
    return file.getvalue()


def killed(arguments: list[Any], place: Place, begun: Callable[[], bool], chance: random.Random, within_s: float) -> bool:
    """Run a command, and kill it at any moment from when it has begun; whether it had not ended by itself."""
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "ml_api", *map(str, arguments)],
        env=environment(**place),
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


def ended(*arguments: Any, **place: Any) -> str:
    result = run(*arguments, timeout=900, **place)
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


def settings_of(place: Place) -> Settings:
    return Settings(**place | {"model": str(place["model"])})


def of_store(place: Place) -> Contents:
    with closing(milvus_store(settings_of(place), Metrics())) as store:
        store.open_current()
        entries = list(store.entries())
        vectors = store.vectors([entry.id for entry in entries])
        assert len(vectors) == len(entries) == store.count(), "an id is there twice, or without its vector"
    return {entry.key: vectors[entry.id] for entry in entries}


def assert_same(found: Contents, wanted: Contents) -> None:
    assert set(found) == set(wanted)
    for key, vector in found.items():
        assert float(vector @ wanted[key]) > ALIKE, f"{key} has another vector"
