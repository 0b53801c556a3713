"""How much of the model's own speed is left when it is a service: searches a second against the bare forward pass.

A search decodes (or tokenises), waits its turn, goes through the model and through Milvus, and comes back as JSON over HTTP. With n
clients the model can see batches of n, so the pass beside it has that batch.
"""

import http.client
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from benchmarks.forward import BareModel, Modality
from benchmarks.load import Load, closed_loop
from benchmarks.machine import describe
from benchmarks.measuring import alternate, percentile_ms
from benchmarks.results import bars, save, table
from benchmarks.service import OPEN_DOOR, requests, running_service
from benchmarks.weights import VIT_B_32, random_clip

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MODALITIES: tuple[Modality, ...] = ("image", "text")
CLIENTS = (1, 8, 32)
ROUNDS = 3
SERVICE_S = 12.0
BARE_S = 5.0
WARM_UP_S = 3.0
REMEMBERED = 500


@dataclass(frozen=True, slots=True)
class Row:
    query: Modality
    clients: int
    searches_per_s: float
    bare_per_s: float
    ratio: float
    ratio_min: float
    ratio_max: float
    p50_ms: float
    p99_ms: float
    searches: int
    generator_cores: float


@dataclass(frozen=True, slots=True)
class Remembered:
    """One client, one text again and again, whose vector is remembered."""

    searches: int
    p50_ms: float
    search_p50_ms: float
    """Of that, in the vector store."""
    beyond_p50_ms: float
    """What each request took beyond its own search."""


def main() -> None:
    machine = describe()
    model = random_clip(VIT_B_32)
    remembered = measure_remembered(model)
    table("a text that was searched for before", [remembered])
    rows: list[Row] = []
    with running_service(model, **OPEN_DOOR) as server:
        precision = server.json("/v1/model")["precision"]
        bare = BareModel(model, precision)
        for modality in MODALITIES:
            rows += [measure(server.port, bare, modality, clients) for clients in CLIENTS]
    table(f"searches against the forward pass of {VIT_B_32.name}, {precision}", rows)
    panels = [partial(_draw, modality=modality, rows=rows) for modality in MODALITIES]
    save("serving", machine, {"model": VIT_B_32.name, "precision": precision, "rows": rows, "remembered": remembered}, panels)


def measure(port: int, bare: BareModel, modality: Modality, clients: int) -> Row:
    sent = requests(modality)
    runs: list[Load] = []

    def service() -> float:
        runs.append(closed_loop(port, sent, clients, SERVICE_S).require_success())
        return runs[-1].per_second

    closed_loop(port, sent, clients, WARM_UP_S)
    sides = alternate({"bare": lambda: bare.rate(modality, clients, BARE_S), "service": service}, ROUNDS)
    least, most = sides.ratio_range("service", "bare")
    seconds = [one for run in runs for one in run.succeeded]
    return Row(
        query=modality,
        clients=clients,
        searches_per_s=sides.median("service"),
        bare_per_s=sides.median("bare"),
        ratio=sides.ratio("service", "bare"),
        ratio_min=least,
        ratio_max=most,
        p50_ms=percentile_ms(seconds, 50),
        p99_ms=percentile_ms(seconds, 99),
        searches=len(seconds),
        generator_cores=max(run.generator_cores for run in runs),
    )


def measure_remembered(model: Path) -> Remembered:
    with running_service(model, text_cache=10) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        total_s, search_ms = [], []
        for _ in range(REMEMBERED):
            started = perf_counter()
            connection.request("GET", "/v1/search/text?q=two+dogs&limit=10")
            answer = connection.getresponse().read()
            total_s.append(perf_counter() - started)
            search_ms.append(json.loads(answer)["timings_ms"]["search"])
        connection.close()
    beyond_s = [total - search / 1000 for total, search in zip(total_s, search_ms, strict=True)]
    return Remembered(REMEMBERED, percentile_ms(total_s, 50), median(search_ms), percentile_ms(beyond_s, 50))


def _draw(axis: "Axes", *, modality: Modality, rows: list[Row]) -> None:
    mine = [row for row in rows if row.query == modality]
    series = {"bare forward pass": [row.bare_per_s for row in mine], "service": [row.searches_per_s for row in mine]}
    bars(axis, f"{modality} queries", "a second", [f"{row.clients} clients\n{row.ratio:.0%}" for row in mine], series)


if __name__ == "__main__":
    main()
