"""How a search slows down as the corpus grows, on Milvus Lite and on a Milvus server, and what MilvusStore adds to bare pymilvus.

Recall is of the ten nearest, against comparing with every vector. The corpus is clustered as CLIP's vectors are (`vectors.py`).
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import mean, median
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks.machine import describe
from benchmarks.measuring import Sides, alternate, percentile_ms, settle
from benchmarks.results import bars, save, table
from benchmarks.vectors import Bare, Ours, Searchable, clustered, exact_ids, records
from ml_api.records import Vectors
from tests.servers.milvus import MilvusServer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZES = (1_000, 10_000, 100_000)
LIMIT = 10
QUERIES = 100
ROUNDS = 5
CROWD = 32
CROWD_VECTORS = 20_000
CROWD_S = 8.0
BACKENDS = ("milvus-lite", "milvus")


@dataclass(frozen=True, slots=True)
class Row:
    backend: str
    vectors: int
    import_s: float
    bare_import_s: float
    settle_s: float
    first_p50_ms: float
    p50_ms: float
    bare_p50_ms: float
    ratio: float
    p99_ms: float
    bare_p99_ms: float
    recall: float
    bare_recall: float


@dataclass(frozen=True, slots=True)
class Crowd:
    clients: int
    vectors: int
    searches_per_s: float
    bare_per_s: float
    ratio: float
    p50_ms: float
    p99_ms: float


@dataclass(slots=True)
class _Searches:
    """Searches one store one query after another, and remembers how long each took."""

    store: Searchable
    queries: Vectors
    seconds: list[float] = field(default_factory=list)

    def rate(self) -> float:
        started = len(self.seconds)
        for number in range(len(self.queries)):
            before = perf_counter()
            self.store.search(self.queries[number : number + 1], LIMIT)
            self.seconds.append(perf_counter() - before)
        return (len(self.seconds) - started) / sum(self.seconds[started:])

    def recall(self, truth: list[set[str]]) -> float:
        found = [self.store.search(self.queries[number : number + 1], LIMIT) for number in range(len(truth))]
        return mean(len(wanted.intersection(ids)) / LIMIT for wanted, ids in zip(truth, found, strict=True))


def main() -> None:
    machine = describe()
    rows = []
    for backend in BACKENDS:
        for size in SIZES:
            print(f"{backend}, {size:,} vectors", flush=True)
            with _stores(backend) as stores:
                rows.append(measure(backend, stores, clustered(size, seed=1)))
    table("one client", rows)
    with _stores("milvus-lite") as stores:
        crowd = measure_crowd(stores, clustered(CROWD_VECTORS, seed=1))
    table("many clients on Milvus Lite", [crowd])
    figures = {"rows": rows, "crowd": crowd}
    save("search_scale", machine, figures, [partial(_draw_latency, rows=rows), partial(_draw_crowd, crowd=crowd)])


@contextmanager
def _stores(backend: str) -> Iterator[Mapping[str, Searchable]]:
    """Ours and the bare one, empty, in a folder that goes away."""
    with tempfile.TemporaryDirectory(prefix="ml-api-benchmark-") as name:
        folder, server = Path(name), None
        uris = [str(folder / "ours.db"), str(folder / "bare.db")]
        if backend == "milvus":
            server = MilvusServer(folder)
            server.start()
            uris = [server.uri, server.uri]
        ours, bare = Ours(uris[0]), Bare(uris[1])
        try:
            yield {"ours": ours, "bare": bare}
        finally:
            ours.close()
            bare.close()
            if server is not None:
                server.kill()


def measure(backend: str, stores: Mapping[str, Searchable], vectors: Vectors) -> Row:
    queries = clustered(QUERIES, seed=2)
    searches = {name: _Searches(store, queries) for name, store in stores.items()}
    stored = records(len(vectors))
    filling = {name: _seconds(partial(store.fill, stored, vectors)) for name, store in stores.items()}
    first, settle_s = settle(partial(_look, searches["ours"]))
    settle(partial(_look, searches["bare"]))
    for side in searches.values():
        side.seconds.clear()
    sides = alternate({name: side.rate for name, side in searches.items()}, ROUNDS)
    truth = exact_ids(vectors, queries, LIMIT)
    return Row(
        backend=backend,
        vectors=len(vectors),
        import_s=filling["ours"],
        bare_import_s=filling["bare"],
        settle_s=settle_s,
        first_p50_ms=first,
        p50_ms=percentile_ms(searches["ours"].seconds, 50),
        bare_p50_ms=percentile_ms(searches["bare"].seconds, 50),
        ratio=sides.ratio("ours", "bare"),
        p99_ms=percentile_ms(searches["ours"].seconds, 99),
        bare_p99_ms=percentile_ms(searches["bare"].seconds, 99),
        recall=searches["ours"].recall(truth),
        bare_recall=searches["bare"].recall(truth),
    )


def measure_crowd(stores: Mapping[str, Searchable], vectors: Vectors) -> Crowd:
    """CROWD threads, each searching as soon as it has its answer."""
    queries = clustered(QUERIES, seed=2)
    seconds: dict[str, list[float]] = {name: [] for name in stores}
    for store in stores.values():
        store.fill(records(len(vectors)), vectors)
        settle(partial(_look, _Searches(store, queries)))
    with ThreadPoolExecutor(CROWD) as threads:
        sides: Sides = alternate({name: partial(_crowd, threads, stores[name], queries, seconds[name]) for name in stores}, ROUNDS)
    return Crowd(
        clients=CROWD,
        vectors=len(vectors),
        searches_per_s=sides.median("ours"),
        bare_per_s=sides.median("bare"),
        ratio=sides.ratio("ours", "bare"),
        p50_ms=percentile_ms(seconds["ours"], 50),
        p99_ms=percentile_ms(seconds["ours"], 99),
    )


def _crowd(threads: ThreadPoolExecutor, store: Searchable, queries: Vectors, seconds: list[float]) -> float:
    started = perf_counter()

    def client(number: int) -> list[float]:
        mine: list[float] = []
        while (before := perf_counter()) - started < CROWD_S:
            query = (number + len(mine)) % len(queries)
            store.search(queries[query : query + 1], LIMIT)
            mine.append(perf_counter() - before)
        return mine

    took = [one for mine in threads.map(client, range(CROWD)) for one in mine]
    seconds += took
    return len(took) / (perf_counter() - started)


def _look(searches: _Searches) -> float:
    searches.seconds.clear()
    searches.rate()
    return median(searches.seconds) * 1000


def _seconds(work: Callable[[], None]) -> float:
    started = perf_counter()
    work()
    return perf_counter() - started


def _draw_latency(axis: "Axes", *, rows: list[Row]) -> None:
    for backend in BACKENDS:
        mine = [row for row in rows if row.backend == backend]
        sizes = [row.vectors for row in mine]
        [line] = axis.plot(sizes, [row.p50_ms for row in mine], "o-", label=f"{backend}, MilvusStore p50")
        axis.plot(sizes, [row.p99_ms for row in mine], "o:", color=line.get_color(), label="MilvusStore p99")
        axis.plot(sizes, [row.bare_p50_ms for row in mine], "x--", color=line.get_color(), label="pymilvus p50")
    axis.set(xscale="log", yscale="log", xlabel="vectors of 512 dimensions", ylabel="ms", title="one search, ten results")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=8)


def _draw_crowd(axis: "Axes", *, crowd: Crowd) -> None:
    series = {"pymilvus": [crowd.bare_per_s], "MilvusStore": [crowd.searches_per_s]}
    bars(axis, "many clients", "searches a second", [f"{crowd.clients} clients, {crowd.vectors:,} vectors, Milvus Lite"], series)


if __name__ == "__main__":
    main()
