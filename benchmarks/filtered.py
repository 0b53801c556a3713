"""Filtered searches: how many of the ten nearest they find, and in what time, beside unfiltered and exact ones.

On Milvus Lite and on a Milvus server, by filters that let from half of the images to one of two thousand through. The filter's
field is independent of the vectors (`any`), or follows a direction of them (`along`), as a brand or a place does: then the images
that pass lie together, far from most queries, and an index that walks from neighbour to neighbour hardly meets them.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import mean
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.machine import describe
from benchmarks.measuring import alternate, percentile_ms, settle
from benchmarks.results import save, table
from benchmarks.vectors import DIM, TIMEOUT_S, clustered, fill, records
from ml_api.metrics import Metrics
from ml_api.records import ImageRecord, Vectors
from ml_api.vectors.base import SearchOptions, VectorStore
from ml_api.vectors.filters import Filter, parse
from ml_api.vectors.milvus import MilvusEndpoint, MilvusStore, VectorIndex
from tests.servers.milvus import MilvusServer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZES: Final[Mapping[str, int]] = {"milvus-lite": 20_000, "milvus": 100_000}
SHARES: Final = (0.5, 0.05, 0.005, 0.0005)
FIELDS: Final = ("any", "along")
LIMIT: Final = 10
QUERIES: Final = 40
EXACT_QUERIES: Final = 2
"""Of 50,000 images a server sends 100 MB for each."""
ROUNDS: Final = 3
GOAL: Final = 0.95
SEED: Final = 17


@dataclass(frozen=True, slots=True)
class Row:
    backend: str
    images: int
    field: str
    share: float
    recall: float
    p50_ms: float
    p95_ms: float
    exact_p50_ms: float
    unfiltered_p50_ms: float


def main() -> None:
    machine = describe()
    rows: list[Row] = []
    for backend, size in SIZES.items():
        print(f"{backend}, {size:,} vectors", flush=True)
        vectors = clustered(size, seed=1)
        fields = _fields(vectors)
        with _store(backend) as store:
            fill(store, _records(fields), vectors)
            _indexed(store, backend)
            filled = Filled(backend, store, vectors, fields)
            for field in FIELDS:
                for share in SHARES:
                    rows.append(measured(filled, field, share))
                    print(rows[-1], flush=True)
    table(f"recall@{LIMIT} and time of filtered searches", rows)
    print(f"least recall {min(row.recall for row in rows):.3f}; the goal is {GOAL}")
    save("filtered", machine, {"rows": rows}, [partial(_draw, rows=rows)])


@dataclass(frozen=True, slots=True)
class Filled:
    """A store with its images, each with a number in each of its fields."""

    backend: str
    store: VectorStore
    vectors: Vectors
    fields: Mapping[str, npt.NDArray[Any]]


def measured(filled: Filled, field: str, share: float) -> Row:
    queries, wanted = clustered(QUERIES, seed=2), parse({field: {"lt": share}})
    took: dict[str, list[float]] = {"filtered": [], "exact": [], "unfiltered": []}
    asked = {"filtered": SearchOptions(LIMIT, filter=wanted), "unfiltered": SearchOptions(LIMIT)}
    alternate({name: partial(_rate, filled.store, queries, options, took[name]) for name, options in asked.items()}, ROUNDS)
    _rate(filled.store, queries[:EXACT_QUERIES], SearchOptions(LIMIT, filter=wanted, exact=True), took["exact"])
    passing = np.flatnonzero(filled.fields[field] < share)
    return Row(
        backend=filled.backend,
        images=len(filled.vectors),
        field=field,
        share=share,
        recall=_recall(filled, queries, passing, wanted),
        p50_ms=percentile_ms(took["filtered"], 50),
        p95_ms=percentile_ms(took["filtered"], 95),
        exact_p50_ms=percentile_ms(took["exact"], 50),
        unfiltered_p50_ms=percentile_ms(took["unfiltered"], 50),
    )


def _fields(vectors: Vectors) -> dict[str, npt.NDArray[Any]]:
    """Of each vector a number from 0 to 1, so that as great a share of them is below a bound as that bound says."""
    draw = np.random.default_rng(SEED)
    along = vectors @ draw.standard_normal(DIM).astype(np.float32)
    ranks = {"any": draw.permutation(len(vectors)), "along": np.argsort(np.argsort(along))}
    return {name: rank / len(vectors) for name, rank in ranks.items()}


def _records(fields: Mapping[str, npt.NDArray[Any]]) -> list[ImageRecord]:
    plain = records(len(fields["any"]))
    return [
        replace(one, metadata={**one.metadata, **{name: float(values[place]) for name, values in fields.items()}})
        for place, one in enumerate(plain)
    ]


def _recall(filled: Filled, queries: Vectors, passing: npt.NDArray[np.intp], wanted: Filter | None) -> float:
    ids = [record.id for record in records(len(filled.vectors))]
    scores = queries @ filled.vectors[passing].T
    right = [{ids[passing[place]] for place in np.argsort(-row, kind="stable")[:LIMIT]} for row in scores]
    found = [hits for [hits] in (filled.store.search(query[None], SearchOptions(LIMIT, filter=wanted)) for query in queries)]
    return mean(len(best & {hit.record.id for hit in hits}) / len(best) for best, hits in zip(right, found, strict=True))


def _rate(store: VectorStore, queries: Vectors, options: SearchOptions, took: list[float]) -> float:
    started = perf_counter()
    for query in queries:
        before = perf_counter()
        store.search(query[None], options)
        took.append(perf_counter() - before)
    return len(queries) / (perf_counter() - started)


@contextmanager
def _store(backend: str) -> Iterator[MilvusStore]:
    """Empty, in a folder that goes away."""
    with tempfile.TemporaryDirectory(prefix="ml-api-benchmark-") as name:
        server = MilvusServer(Path(name)) if backend == "milvus" else None
        if server is not None:
            server.start()
        uri = str(Path(name) / "store.db") if server is None else server.uri
        store = MilvusStore(MilvusEndpoint(uri), "benchmark", VectorIndex(), Metrics(), TIMEOUT_S)
        try:
            store.ensure("benchmark@1", DIM)
            yield store
        finally:
            store.close()
            if server is not None:
                server.kill()


def _indexed(store: MilvusStore, backend: str) -> None:
    """Until every vector is searched by the index. A server indexes what is sealed, by itself after ten minutes without writes."""
    if backend == "milvus":
        opened = store._open_now()  # noqa: SLF001 - the store never does it, as it is bad for a server that goes on taking writes
        opened.client.flush(opened.collection, timeout=TIMEOUT_S)
    queries = clustered(QUERIES, seed=3)

    def look() -> float:
        took: list[float] = []
        _rate(store, queries, SearchOptions(LIMIT), took)
        return percentile_ms(took, 50)

    settle(look)


def _draw(axis: "Axes", *, rows: list[Row]) -> None:
    columns: Mapping[str, Callable[[Row], float]] = {"filtered": lambda row: row.p50_ms, "exact": lambda row: row.exact_p50_ms}
    for backend in SIZES:
        mine = [row for row in rows if row.backend == backend and row.field == "along"]
        for name, of in columns.items():
            axis.plot([row.share for row in mine], [of(row) for row in mine], "o-", label=f"{backend}, {name}")
    axis.set(xscale="log", yscale="log", xlabel="share of images that pass", ylabel="p50, ms", title="filtered searches")
    axis.legend(frameon=False, fontsize=8)


if __name__ == "__main__":
    main()
