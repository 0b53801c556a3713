"""What a sync in the service costs those who search meanwhile, and they the sync: each alone, then both at once, in turns.

The sync embeds new files of one corpus, so its rate is that of reading, embedding and writing; searches are texts that come at
their times. `python -m benchmarks.bulk`
"""

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any

from benchmarks.load import Load, open_loop
from benchmarks.machine import describe
from benchmarks.photographs import COUNT, photographs
from benchmarks.results import bars, save, table
from benchmarks.service import requests, running_service
from benchmarks.weights import VIT_B_32, random_clip

if TYPE_CHECKING:
    from matplotlib.axes import Axes

IMAGES = 192
SEARCHES_PER_S = 5.0
IDLE_S = 8.0
CHUNK_S = 1.0
ROUNDS = 3
LOOK_S = 0.2
SYNC_TIMEOUT_S = 300


@dataclass(frozen=True, slots=True)
class Round:
    idle_p95_ms: float
    beside_p95_ms: float
    latency_ratio: float
    lone_images_per_s: float
    beside_images_per_s: float
    rate_ratio: float


@dataclass(frozen=True, slots=True)
class Summary:
    searches_per_s: float
    latency_ratio: float
    rate_ratio: float


def main() -> None:
    machine = describe()
    with running_service(random_clip(VIT_B_32)) as server:
        texts, numbers = requests("text"), count()
        measure(server, texts, numbers, lone_first=True)  # the first pass of a shape sets things up
        rounds = [measure(server, texts, numbers, lone_first=turn % 2 == 0) for turn in range(ROUNDS)]
    table(f"searches by text beside a sync of {VIT_B_32.name}, with Milvus Lite", rounds)
    summary = Summary(SEARCHES_PER_S, median(each.latency_ratio for each in rounds), median(each.rate_ratio for each in rounds))
    table("medians: p95 beside a sync to p95 alone; images a second beside searches to those alone", [summary])
    figures = {"model": VIT_B_32.name, "rounds": rounds, "summary": summary}
    save("bulk", machine, figures, [partial(_draw, title="p95, ms", names=("idle_p95_ms", "beside_p95_ms"), rounds=rounds)])


def measure(server: Any, texts: Iterator[bytes], numbers: Iterator[int], *, lone_first: bool) -> Round:
    idle = open_loop(server.port, texts, SEARCHES_PER_S, IDLE_S).require_success().percentile_ms(95)
    if lone_first:
        lone = _rate(server, _started(server, numbers))
        beside, rate = _beside(server, texts, numbers)
    else:
        beside, rate = _beside(server, texts, numbers)
        lone = _rate(server, _started(server, numbers))
    return Round(idle, beside, beside / idle, lone, rate, rate / lone)


def _beside(server: Any, texts: Iterator[bytes], numbers: Iterator[int]) -> tuple[float, float]:
    """p95 of the searches while the sync is under way, and its rate."""
    job, load = _started(server, numbers), Load()
    while server.json(job)["state"] in {"queued", "running"}:
        load.answers += open_loop(server.port, texts, SEARCHES_PER_S, CHUNK_S).require_success().answers
    return load.percentile_ms(95), _rate(server, job)


def _started(server: Any, numbers: Iterator[int]) -> str:
    """The path of a sync of IMAGES new files."""
    folder, pictures = Path(server.settings["corpus"]), photographs()
    for number in (next(numbers) for _ in range(IMAGES)):
        (folder / f"new-{number:06}.jpg").write_bytes(pictures[number % COUNT] + b"new" + number.to_bytes(8, "big"))
    status, _, body = server.open(urllib.request.Request(f"{server.url}/v1/sync", method="POST"))  # noqa: S310 - our own server
    assert status == 202, body
    path: str = json.loads(body)["links"]["self"]
    return path


def _rate(server: Any, job: str) -> float:
    """Images a second of a sync, once it is over."""
    until = perf_counter() + SYNC_TIMEOUT_S
    while (now := server.json(job))["state"] in {"queued", "running"}:
        if perf_counter() > until:
            raise TimeoutError(now)
        sleep(LOOK_S)
    if now["report"]["outcomes"]["added"] != IMAGES:
        raise RuntimeError(f"not every image was added: {now}")
    return float(IMAGES / now["report"]["seconds"])


def _draw(axis: "Axes", title: str, names: tuple[str, ...], rounds: list[Round]) -> None:
    groups = [f"round {number}" for number, _ in enumerate(rounds, 1)]
    bars(axis, title, "ms", groups, {name.replace("_", " "): [getattr(each, name) for each in rounds] for name in names})


if __name__ == "__main__":
    main()
