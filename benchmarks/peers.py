"""The same weights, JPEGs and texts through michaelfeil/infinity and through this service.

Over `/v1/embeddings` both do the same work, asked with the same requests. As searches, this service embeds, searches and describes
the hits. Each runs as it comes: infinity computes in float32 on a CPU, this service in bfloat16 where the processor has it. The
same clients ask both in turns.
"""

import sys
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from benchmarks import infinity, service
from benchmarks.forward import Modality
from benchmarks.load import Load, closed_loop
from benchmarks.machine import describe
from benchmarks.measuring import alternate, percentile_ms
from benchmarks.results import bars, save, table
from benchmarks.weights import VIT_B_32, random_clip

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MODALITIES: tuple[Modality, ...] = ("image", "text")
CLIENTS = {"search": (1, 8, 32), "embeddings": (1, 32)}
"""By what this service is asked for; infinity is always asked for embeddings."""
ROUNDS = 3
RUN_S = 15.0
WARM_UP_S = 3.0


@dataclass(frozen=True, slots=True)
class Row:
    asked: str
    query: Modality
    clients: int
    service_per_s: float
    infinity_per_s: float
    ratio: float
    ratio_min: float
    ratio_max: float
    service_p50_ms: float
    infinity_p50_ms: float
    service_p99_ms: float
    infinity_p99_ms: float


def main() -> int:
    if not infinity.is_installed():
        print("infinity is not installed: `make bench-peers` installs it in .cache/peers/infinity (about 2 GB) and runs this")
        return 2
    machine = describe()
    model = random_clip(VIT_B_32)
    with service.running_service(model, **service.OPEN_DOOR) as server, infinity.running_infinity(model) as peer:
        served = server.json("/v1/model")
        rows = [
            measure(Pair(server.port, peer, served["name"]), asked, modality, clients)
            for asked, numbers in CLIENTS.items()
            for modality in MODALITIES
            for clients in numbers
        ]
    precision = served["precision"]
    table(f"{VIT_B_32.name}: this service in {precision} against infinity 0.0.78 in fp32", rows)
    panels = [partial(_draw, asked=asked, modality=modality, rows=rows) for asked in CLIENTS for modality in MODALITIES]
    save("peers", machine, {"model": VIT_B_32.name, "precision": precision, "rows": rows}, panels)
    return 0


@dataclass(frozen=True, slots=True)
class Pair:
    service_port: int
    infinity_port: int
    model: str
    """As this service calls it."""


def measure(pair: Pair, asked: str, modality: Modality, clients: int) -> Row:
    ports = {"service": pair.service_port, "infinity": pair.infinity_port}
    of_service = service.requests(modality) if asked == "search" else infinity.requests(modality, pair.model)
    sent = {"service": of_service, "infinity": infinity.requests(modality)}
    runs: dict[str, list[Load]] = {side: [] for side in ports}

    def run(side: str) -> float:
        runs[side].append(closed_loop(ports[side], sent[side], clients, RUN_S).require_success())
        return runs[side][-1].per_second

    def percentile(side: str, percent: float) -> float:
        return percentile_ms([one for load in runs[side] for one in load.succeeded], percent)

    for side, port in ports.items():
        closed_loop(port, sent[side], clients, WARM_UP_S)
    sides = alternate({side: partial(run, side) for side in ports}, ROUNDS)
    least, most = sides.ratio_range("service", "infinity")
    return Row(
        asked=asked,
        query=modality,
        clients=clients,
        service_per_s=sides.median("service"),
        infinity_per_s=sides.median("infinity"),
        ratio=sides.ratio("service", "infinity"),
        ratio_min=least,
        ratio_max=most,
        service_p50_ms=percentile("service", 50),
        infinity_p50_ms=percentile("infinity", 50),
        service_p99_ms=percentile("service", 99),
        infinity_p99_ms=percentile("infinity", 99),
    )


def _draw(axis: "Axes", *, asked: str, modality: Modality, rows: list[Row]) -> None:
    mine = [row for row in rows if (row.asked, row.query) == (asked, modality)]
    series = {"infinity": [row.infinity_per_s for row in mine], "this service": [row.service_per_s for row in mine]}
    bars(axis, f"{asked}: {modality}", "a second", [f"{row.clients} clients\n{row.ratio:.2f} times" for row in mine], series)


if __name__ == "__main__":
    sys.exit(main())
