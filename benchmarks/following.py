"""How soon a picture is found that somebody puts into a watched folder, or uploads, while nothing else happens.

`python -m benchmarks.following`. The service is idle and runs the demo's model, which is quick: what is measured is everything
around the model. To say what the model adds: its own time for the same pictures, one at a time, is the time of a search by image.
"""

import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks import machine, results
from benchmarks.photographs import photographs
from benchmarks.service import running_service
from ml_api.records import image_id
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes

    from tests.e2e.server_process import Server

MODEL = Path(__file__).parents[1] / "demo" / "model"
TIMES = 40
GOALS_S = {"watched": 2.0, "uploaded": 1.0}
"""From a file's being complete, and from the upload's beginning."""


@dataclass(frozen=True, slots=True)
class Row:
    way: str
    p50_s: float
    p95_s: float
    slowest_s: float
    goal_s: float
    searches: float
    """p50 in searches by image, each of which decodes and embeds one picture."""


def main() -> None:
    with running_service(MODEL, watch=True) as server:
        folder = Path(server.settings["corpus"])
        wait_until(lambda: server.json("/v1/sync")["active"] is None and server.json("/v1/sync")["last"])
        fresh = _fresh()
        sides: dict[str, Callable[[int], float]] = {
            "watched": lambda number: _watched(server, folder, f"watched/{number}.jpg", next(fresh)),
            "uploaded": lambda number: _uploaded(server, f"uploaded/{number}.jpg", next(fresh)),
            "searched": lambda _number: _searched(server, next(fresh)),
        }
        (folder / "watched").mkdir()
        times = {name: [measure(number) for number in range(TIMES)] for name, measure in sides.items()}
    search_s = float(np.median(times["searched"]))
    rows = [_row(way, times[way], search_s) for way in GOALS_S]
    results.table(f"From being complete to being found, {TIMES} times each; a search by image takes {search_s * 1000:.0f} ms", rows)

    def draw(axis: "Axes") -> None:
        series = {"p50": [row.p50_s for row in rows], "p95": [row.p95_s for row in rows]}
        results.bars(axis, "until a picture is found, idle", "s", list(GOALS_S), series)

    results.save("following", machine.describe(), {"rows": rows, "times_s": times}, [draw])


def _row(way: str, times_s: list[float], search_s: float) -> Row:
    p50_s, p95_s = (float(np.percentile(times_s, share)) for share in (50, 95))
    return Row(way, p50_s, p95_s, max(times_s), GOALS_S[way], p50_s / search_s)


def _fresh() -> "Iterator[bytes]":
    """Pictures of which no two have the same bytes, nor those of the corpus."""
    number = 0
    while True:
        for picture in photographs():
            yield picture + f"following {number}".encode()
            number += 1


def _watched(server: "Server", folder: Path, key: str, data: bytes) -> float:
    (folder / key).write_bytes(data)
    started = time.perf_counter()
    wait_until(lambda: server.get(f"/v1/images/{image_id(key)}")[0] == 200)
    return time.perf_counter() - started


def _uploaded(server: "Server", key: str, data: bytes) -> float:
    url = f"{server.url}/v1/images/by-key/{key}?wait=10"
    request = urllib.request.Request(url, data, {"Content-Type": "image/jpeg"}, method="PUT")  # noqa: S310 - our own server
    started = time.perf_counter()
    status, _, answer = server.open(request)
    assert status == 200, answer
    return time.perf_counter() - started


def _searched(server: "Server", data: bytes) -> float:
    started = time.perf_counter()
    status, _, answer = server.post("/v1/search/image?limit=1", data, "image/jpeg")
    assert status == 200, answer
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
