"""Imports of vector files into Milvus Lite and a server, beside other ways to write; what formats take to read and write; memory.

Memory is that of processes of their own, over files of which one has ten times the rows of the other.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any, Literal

from benchmarks.machine import describe, peak_rss_bytes
from benchmarks.results import bars, save, table
from benchmarks.vectors import COLLECTION, DIM, TIMEOUT_S, clustered, records
from ml_api.metrics import Metrics
from ml_api.records import ImageRecord, Vectors
from ml_api.vectors.base import VectorStore
from ml_api.vectors.files.intake import Intake
from ml_api.vectors.files.opening import format_to_write, open_vectors
from ml_api.vectors.files.parts import PartsWriter
from ml_api.vectors.files.transfer import export, import_
from ml_api.vectors.milvus import MilvusEndpoint, MilvusStore, VectorIndex
from ml_api.vectors.milvus.connection import connect
from ml_api.vectors.milvus.schema import VECTOR, collection_schema, rows_of
from tests.servers.milvus import MilvusServer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COUNT = 100_000
FORMATS = ("vectors.parquet", "vectors.avro", "vectors.jsonl", "vectors.csv", "vectors")
FORMAT_ROWS = 20_000
MEMORY_ROWS = (20_000, 200_000)
MODEL = "benchmark@1"
BACKENDS = ("milvus-lite", "milvus")
SMALL, LARGE = 1_000, 8_192


@dataclass(frozen=True, slots=True)
class Way:
    """To write with pymilvus alone."""

    operation: Literal["insert", "upsert"]
    at_once: int
    index_first: bool = True


BARE = {
    "insert, 1,000 at once": Way("insert", SMALL),
    "insert, 8,192 at once": Way("insert", LARGE),
    "upsert, 8,192 at once": Way("upsert", LARGE),
    "insert, index after": Way("insert", LARGE, index_first=False),
}


@dataclass(frozen=True, slots=True)
class Import:
    backend: str
    way: str
    seconds: float
    rows_per_s: float
    processor_s: float
    """Of this process, in which Milvus Lite runs, too."""


@dataclass(frozen=True, slots=True)
class Format:
    name: str
    write_rows_per_s: float
    read_rows_per_s: float
    bytes_a_row: float


@dataclass(frozen=True, slots=True)
class Memory:
    name: str
    small_mb: float
    large_mb: float
    ratio: float


def main() -> None:
    machine = describe()
    vectors = clustered(COUNT, seed=1)
    stored = records(COUNT)
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "vectors.parquet", stored, vectors)
        imports = [row for backend in BACKENDS for row in measure_imports(backend, path, stored, vectors)]
        table(f"imports of {COUNT:,} vectors of {DIM} dimensions", imports)
    formats = [measure_format(name, stored[:FORMAT_ROWS], vectors[:FORMAT_ROWS]) for name in FORMATS]
    table("formats, in processor time", formats)
    memory = [measure_memory(name) for name in FORMATS]
    table(f"memory of reading {MEMORY_ROWS[0]:,} and {MEMORY_ROWS[1]:,} rows", memory)
    figures = {"imports": imports, "formats": formats, "memory": memory}
    save("vector_files", machine, figures, [partial(_draw_imports, rows=imports), partial(_draw_formats, rows=formats)])


def write(path: Path, stored: Sequence[ImageRecord], vectors: Vectors) -> Path:
    format_to_write(path).write(path, MODEL, stored, vectors)
    return path


def measure_imports(backend: str, path: Path, stored: list[ImageRecord], vectors: Vectors) -> Iterator[Import]:
    """Each way into a fresh collection, the file's among them; then the file once more, over what is there, and out again."""
    for name, way in BARE.items():
        with _place(backend) as uri:
            yield _timed(backend, name, partial(_write_bare, way, uri, stored, vectors))
    with _place(backend) as uri, closing(_store(uri)) as store:
        yield _timed(backend, "import of a file", partial(_import, store, path))
        yield _timed(backend, "import of a file, again", partial(_import, store, path))
        yield _timed(backend, "export to Parquet", partial(_export, store, path.with_name("exported.parquet")))


def _timed(backend: str, way: str, work: Callable[[], object]) -> Import:
    print(f"{backend}: {way}", flush=True)
    started, before = perf_counter(), process_time()
    work()
    seconds = perf_counter() - started
    return Import(backend, way, seconds, COUNT / seconds, process_time() - before)


def _import(store: VectorStore, path: Path) -> None:
    report = import_(open_vectors(path), store, Intake(MODEL, DIM, print), lambda _rows: None, lambda: False)
    assert report.taken == COUNT, report


def _export(store: VectorStore, path: Path) -> None:
    with PartsWriter.open(path, MODEL, "the benchmark") as writer:
        export(store, writer, lambda _rows: None, lambda: False)


def _write_bare(way: Way, uri: str, stored: list[ImageRecord], vectors: Vectors) -> None:
    """pymilvus alone. Milvus Lite is flushed at the end, or its rows would be scanned one by one."""
    client: Any = connect(MilvusEndpoint(uri), uri, TIMEOUT_S)
    index = VectorIndex()
    params = client.prepare_index_params()
    params.add_index(VECTOR, index_type=index.kind, metric_type=index.metric, params={"params": index.build})
    schema = collection_schema(DIM)
    client.create_collection(COLLECTION, schema=schema, index_params=params if way.index_first else None, timeout=TIMEOUT_S)
    for start in range(0, len(stored), way.at_once):
        some = stored[start : start + way.at_once]
        rows = rows_of(some, [record.metadata for record in some], vectors[start : start + way.at_once])
        getattr(client, way.operation)(COLLECTION, rows, timeout=TIMEOUT_S)
    if MilvusEndpoint(uri).embedded:
        client.flush(COLLECTION, timeout=TIMEOUT_S)
    if not way.index_first:
        client.create_index(COLLECTION, params, timeout=TIMEOUT_S)
        client.load_collection(COLLECTION, timeout=TIMEOUT_S)
    client.close()


def _store(uri: str) -> VectorStore:
    store = MilvusStore(MilvusEndpoint(uri), COLLECTION, VectorIndex(), Metrics(), TIMEOUT_S)
    store.ensure(MODEL, DIM)
    return store


@contextmanager
def _place(backend: str) -> Iterator[str]:
    """A new Milvus Lite folder, or a server of its own."""
    with tempfile.TemporaryDirectory() as folder:
        if backend == "milvus-lite":
            yield str(Path(folder) / "vectors.db")
            return
        server = MilvusServer(Path(folder))
        server.start()
        try:
            yield server.uri
        finally:
            server.kill()


def measure_format(name: str, stored: Sequence[ImageRecord], vectors: Vectors) -> Format:
    """In processor time, which others on the machine disturb less."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        started = process_time()
        write(path, stored, vectors)
        written = process_time()
        intake = Intake(MODEL, DIM, print)
        taken = sum(len(some) for some, _ in intake.batches(open_vectors(path).read(), LARGE))
        assert taken == len(stored)
        read = process_time()
        size = sum(file.stat().st_size for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file())
    rows = len(stored)
    return Format(name, rows / (written - started), rows / (read - written), size / rows)


def measure_memory(name: str) -> Memory:
    with tempfile.TemporaryDirectory() as folder:
        peaks = [_peak_mb(Path(folder) / f"{rows} {name}", rows) for rows in MEMORY_ROWS]
    return Memory(name, peaks[0], peaks[1], peaks[1] / peaks[0])


def _peak_mb(path: Path, rows: int) -> float:
    """The most memory of a process that reads the file as an import does, written by an export's way."""
    with PartsWriter.open(path, MODEL, "the benchmark") as writer:
        for start in range(0, rows, LARGE):
            count = min(LARGE, rows - start)
            writer.add(records(start + count)[start:], clustered(count, seed=start))
        writer.finish()
    reading = [sys.executable, "-m", "benchmarks.vector_files", str(path)]
    done = subprocess.run(reading, check=True, capture_output=True, text=True)  # noqa: S603 - this program
    return float(done.stdout)


def read_and_say_peak(path: Path) -> None:
    intake = Intake(MODEL, DIM, print)
    for _ in intake.batches(open_vectors(path).read(), LARGE):
        pass
    print(peak_rss_bytes(os.getpid()) / 2**20)


def _draw_imports(axis: "Axes", rows: Sequence[Import]) -> None:
    ways = list(dict.fromkeys(row.way for row in rows))
    series = {backend: [row.seconds for row in rows if row.backend == backend] for backend in BACKENDS}
    bars(axis, f"{COUNT:,} vectors", "seconds", ways, series)
    axis.tick_params(axis="x", labelrotation=30, labelsize=6)


def _draw_formats(axis: "Axes", rows: Sequence[Format]) -> None:
    series = {"write": [row.write_rows_per_s for row in rows], "read": [row.read_rows_per_s for row in rows]}
    bars(axis, "formats, in processor time", "rows a second", [row.name for row in rows], series)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        read_and_say_peak(Path(sys.argv[1]))
    else:
        main()
