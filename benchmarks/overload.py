"""Ten times the load that the service can carry, for a minute: what is answered, how soon the rest is refused, when it is over.

The requests come at their times whether others are answered or not (an open loop), as those of people do.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.forward import Modality
from benchmarks.load import NO_ANSWER, Load, closed_loop, open_loop
from benchmarks.machine import describe
from benchmarks.measuring import percentile_ms
from benchmarks.results import save, table
from benchmarks.service import requests, running_service
from benchmarks.weights import VIT_B_32, random_clip

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MODALITIES: tuple[Modality, ...] = ("image", "text")
TIMES = 10
OVERLOAD_S = 60.0
SUSTAINED_CLIENTS = 32
SUSTAINED_S = 20.0
CALM_S = 5.0
REFUSED = (429, 503)
RECOVERED = 2.0
"""It is over when one client's search takes less than this times what it took before."""
RECOVERY_S = 60.0
"""Longest wait for that."""
PROBE_S = 0.01


@dataclass(frozen=True, slots=True)
class Row:
    query: Modality
    sustained_per_s: float
    offered_per_s: float
    good_per_s: float
    good_share: float
    """Of the sustained rate: 1 loses nothing to the overload."""
    admitted_p50_ms: float
    admitted_p99_ms: float
    refused: int
    refusal_p50_ms: float
    refusal_p99_ms: float
    late: int
    """Answered with 504."""
    no_answer: int
    """Given up after GIVE_UP_S, or the connection broke."""
    unsent: int
    """All MAX_CONNECTIONS waited for an answer: a browser would have gone on waiting here, too."""
    recovery_s: float


def main() -> None:
    machine = describe()
    model = random_clip(VIT_B_32)
    rows: list[Row] = []
    loads: dict[Modality, Load] = {}
    for modality in MODALITIES:
        print(f"overload with {modality} queries", flush=True)
        with running_service(model) as server:
            row, loads[modality] = measure(server.port, modality)
            rows.append(row)
    table(f"{TIMES} times the sustained load for {OVERLOAD_S:.0f} s", rows)
    panels = [partial(_draw, row=row, load=loads[row.query]) for row in rows]
    save("overload", machine, {"model": VIT_B_32.name, "rows": rows}, panels)


def measure(port: int, modality: Modality) -> tuple[Row, Load]:
    sent = requests(modality)
    calm = median(closed_loop(port, sent, 1, CALM_S).require_success().succeeded)
    sustained = closed_loop(port, sent, SUSTAINED_CLIENTS, SUSTAINED_S).require_success().per_second
    with ThreadPoolExecutor(1) as thread:
        overload = thread.submit(open_loop, port, sent, TIMES * sustained, OVERLOAD_S)
        time.sleep(OVERLOAD_S)
        recovery_s = _recovery_s(port, requests(modality), calm)
        load = overload.result()
    first = min(answer.due for answer in load.answers)
    good = [answer for answer in load.answers if answer.status == 200 and answer.at <= first + OVERLOAD_S]
    refusals = [answer.seconds for answer in load.answers if answer.status in REFUSED]
    row = Row(
        query=modality,
        sustained_per_s=sustained,
        offered_per_s=TIMES * sustained,
        good_per_s=len(good) / OVERLOAD_S,
        good_share=len(good) / OVERLOAD_S / sustained,
        admitted_p50_ms=load.percentile_ms(50),
        admitted_p99_ms=load.percentile_ms(99),
        refused=len(refusals),
        refusal_p50_ms=percentile_ms(refusals, 50),
        refusal_p99_ms=percentile_ms(refusals, 99),
        late=load.statuses.get(504, 0),
        no_answer=load.statuses.get(NO_ANSWER, 0),
        unsent=load.unsent,
        recovery_s=recovery_s,
    )
    return row, load


def _recovery_s(port: int, sent: Iterator[bytes], calm: float) -> float:
    """How long until one client is served as before; infinite if RECOVERY_S are not enough."""
    started = time.perf_counter()
    while (elapsed := time.perf_counter() - started) < RECOVERY_S:
        answers = closed_loop(port, sent, 1, PROBE_S).answers
        if answers and answers[-1].status == 200 and answers[-1].seconds < RECOVERED * calm:
            return elapsed
    return float("inf")


def _draw(axis: "Axes", *, row: Row, load: Load) -> None:
    first = min(answer.due for answer in load.answers)
    kinds = {"answered": [200], "refused": REFUSED, "late (504)": [504], "no answer": [NO_ANSWER]}
    for label, statuses in kinds.items():
        times = [answer.at - first for answer in load.answers if answer.status in statuses]
        if times:
            counts = [sum(second <= time_ < second + 1 for time_ in times) for second in range(int(max(times)) + 1)]
            axis.plot(counts, label=label)
    axis.axhline(row.sustained_per_s, color="grey", linestyle=":", label="sustained before")
    axis.axvline(OVERLOAD_S, color="grey", linewidth=0.5)
    axis.set(title=f"{row.query} queries, {row.offered_per_s:.0f} a second", xlabel="s", ylabel="answers a second", yscale="symlog")
    axis.set_ylim(bottom=0)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=8)


if __name__ == "__main__":
    main()
