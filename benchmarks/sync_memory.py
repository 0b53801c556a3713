"""How the memory of a sync grows with the corpus, and what an unchanged corpus costs: tiny files, stand-ins for everything costly.

`python -m benchmarks.sync_memory`; each size in a process of its own, which is this module with a number.
"""

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from benchmarks.machine import ROOT, describe, peak_rss_bytes
from benchmarks.results import bars, save, table
from ml_api.corpus.folder import FolderCorpus
from ml_api.database import Database
from ml_api.deadline import Deadline
from ml_api.embedding.base import Prepared
from ml_api.embedding.fake import FakeEncoder, FakePreprocessor
from ml_api.errors import InvalidImage
from ml_api.images import Crop, Fit, FittedImage, ImageLimits, InlineDecoder
from ml_api.indexing.failures import StoredFailures
from ml_api.indexing.guard import Consent
from ml_api.indexing.sync import Indexer
from ml_api.metrics import Metrics
from ml_api.records import Entry, ImageRecord, Vectors
from ml_api.vectors.memory import MemoryStore

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZES = (10_000, 100_000)
IN_FOLDER = 1_000
MOVED, REMOVED, BROKEN = 10, 20, 50
"""One file in so many, in the third sync."""
TIMEOUT_S = 3000
CLEAR_PEAK = "5"
"""What Linux takes for "forget the most that this process has held" (proc(5), clear_refs)."""


@dataclass(frozen=True, slots=True)
class Measured:
    images: int
    sync: str
    peak_rss_mb: float
    seconds: float
    processor_s: float
    listing_processor_s: float
    """Of listing the folder and reading the store's entries alone."""


class StoreOnDisk(MemoryStore):
    """Records in SQLite, and one vector for all: nothing of it grows in memory."""

    def __init__(self, path: Path, dim: int) -> None:
        super().__init__()
        self._rows = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._rows.executescript("PRAGMA synchronous=OFF; CREATE TABLE r (id TEXT PRIMARY KEY, record TEXT) WITHOUT ROWID")
        self._vector = np.eye(1, dim, dtype=np.float32)[0]

    def upsert(self, records: Sequence[ImageRecord], vectors: Vectors) -> None:  # noqa: ARG002 - one for all
        rows = [(record.id, json.dumps(asdict(record))) for record in records]
        self._rows.executemany("INSERT OR REPLACE INTO r VALUES (?, ?)", rows)

    def delete(self, ids: Sequence[str]) -> None:
        self._rows.executemany("DELETE FROM r WHERE id = ?", [(image_id,) for image_id in ids])

    def entries(self, after: str = "", until: str = "") -> Iterator[Entry]:  # noqa: ARG002 - to the end
        for (text,) in self._rows.execute("SELECT record FROM r WHERE id > ? ORDER BY id", (after,)):
            record = json.loads(text)
            yield Entry(record["id"], record["key"], record["version"], record["digest"], phash=record["phash"])

    def get(self, ids: Sequence[str], deadline: Deadline | None = None) -> dict[str, ImageRecord]:  # noqa: ARG002 - nobody waits
        rows = self._rows.execute("SELECT record FROM r WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(list(ids)),))
        return {record.id: record for record in (ImageRecord(**json.loads(text)) for (text,) in rows)}

    def vectors(
        self,
        ids: Sequence[str],
        deadline: Deadline | None = None,  # noqa: ARG002 - nobody waits
    ) -> dict[str, npt.NDArray[np.float32]]:
        return dict.fromkeys(ids, self._vector)


class NoModel(FakeEncoder):
    def embed(self, items: Sequence[Prepared]) -> Vectors:
        return np.eye(1, self.model.dim, dtype=np.float32).repeat(len(items), axis=0)


class NoDecoder(InlineDecoder):
    """Every file that is not empty is the same picture."""

    _pixels = np.zeros((16, 16, 3), np.uint8)

    def decode(
        self,
        data: bytes,
        fit: Fit,  # noqa: ARG002 - it decodes nothing
        deadline: Deadline | None = None,  # noqa: ARG002 - nobody waits
        crop: Crop | None = None,  # noqa: ARG002 - nobody asks for a part
    ) -> FittedImage:
        if not data:
            raise InvalidImage("The image is empty.", code="image-empty")
        return FittedImage(self._pixels, "PNG", 16, 16, "0" * 16)


def main() -> None:
    machine = describe()
    measured = [row for size in SIZES for row in _in_own_process(size)]
    table(f"syncs in folders of {IN_FOLDER:,} tiny files", measured)
    peaks = {size: max(row.peak_rss_mb for row in measured if row.images == size) for size in SIZES}
    small, large = SIZES
    print(f"\npeak of {large:,} files / peak of {small:,}: {peaks[large] / peaks[small]:.3f}")
    save("sync_memory", machine, {"syncs": measured, "ratio": peaks[large] / peaks[small]}, [partial(_draw, measured=measured)])


def _in_own_process(images: int) -> list[Measured]:
    command = [sys.executable, "-m", "benchmarks.sync_memory", str(images)]
    ran = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=TIMEOUT_S, check=True)  # noqa: S603 - ours
    return [Measured(**row) for row in json.loads(ran.stdout.splitlines()[-1])]


def measure(images: int) -> list[Measured]:
    with tempfile.TemporaryDirectory(prefix="ml-api-benchmark-") as name:
        root = Path(name) / "images"
        _write(root, images)
        encoder, metrics = NoModel(), Metrics()
        corpus = FolderCorpus(root)
        store = StoreOnDisk(Path(name) / "store.sqlite3", encoder.model.dim)
        store.ensure(encoder.model.model_id, encoder.model.dim)
        with closing(Database.open(str(Path(name) / "state.sqlite3"))) as database:
            failures = StoredFailures(database, corpus.location, "a benchmark")
            decoder = NoDecoder(ImageLimits(10**6, 10**6, 20))
            indexer = Indexer(corpus, store, lambda: (FakePreprocessor(), encoder), decoder, metrics, failures=failures)
            rows = [_sync("first", images, indexer, corpus, store)]
            rows.append(_sync("unchanged", images, indexer, corpus, store))
            _disturb(root, images)
            rows.append(_sync("moved, removed, broken", images, indexer, corpus, store))
        return rows


def _sync(name: str, images: int, indexer: Indexer, corpus: FolderCorpus, store: StoreOnDisk) -> Measured:
    before = process_time()
    for _ in corpus.list():
        pass
    for _ in store.entries():
        pass
    listing = process_time() - before
    Path("/proc/self/clear_refs").write_text(CLEAR_PEAK)
    started, before = perf_counter(), process_time()
    indexer.run(indexer.plan(Consent(removals=True)))
    peak = peak_rss_bytes(os.getpid()) / 2**20
    return Measured(images, name, peak, perf_counter() - started, process_time() - before, listing)


def _write(root: Path, images: int) -> None:
    for number in range(images):
        path = root / f"{number // IN_FOLDER:04}" / f"{number:07}.png"
        if number % IN_FOLDER == 0:
            path.parent.mkdir(parents=True)
        path.write_text(str(number))


def _disturb(root: Path, images: int) -> None:
    for number in range(images):
        path = root / f"{number // IN_FOLDER:04}" / f"{number:07}.png"
        if number % MOVED == 0:
            path.rename(path.with_name(f"moved-{path.name}"))
        elif number % REMOVED == 1:
            path.unlink()
        elif number % BROKEN == 2:
            path.write_bytes(b"")


def _draw(axis: "Axes", *, measured: list[Measured]) -> None:
    names = list(dict.fromkeys(row.sync for row in measured))
    series = {f"{size:,} files": [row.peak_rss_mb for row in measured if row.images == size] for size in SIZES}
    bars(axis, "peak memory of a sync", "MB", names, series)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps([asdict(row) for row in measure(int(sys.argv[1]))]))
    else:
        main()
