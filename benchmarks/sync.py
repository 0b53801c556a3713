"""How fast a folder gets into Milvus Lite, against the bare forward pass, and how much memory that takes as the folder grows."""

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter, sleep
from typing import TYPE_CHECKING

from benchmarks.forward import BareModel
from benchmarks.machine import ROOT, describe, peak_rss_bytes
from benchmarks.measuring import alternate
from benchmarks.photographs import write_corpus
from benchmarks.results import bars, save, table
from benchmarks.service import served_precision
from benchmarks.weights import TINY, VIT_B_32, random_clip
from ml_api.indexing.tasks import BATCH
from tests.e2e.server_process import environment

if TYPE_CHECKING:
    from matplotlib.axes import Axes

IMAGES = 256
ROUNDS = 3
BARE_S = 8.0
SYNC_TIMEOUT_S = 300
MEMORY_SIZES = (1_000, 10_000)
MEMORY_TIMEOUT_S = 1800
POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Speed:
    images: int
    images_per_s: float
    bare_per_s: float
    ratio: float
    ratio_min: float
    ratio_max: float


@dataclass(frozen=True, slots=True)
class Memory:
    images: int
    peak_rss_mb: float
    seconds: float


def main() -> None:
    machine = describe()
    with tempfile.TemporaryDirectory(prefix="ml-api-benchmark-") as name:
        speed = measure_speed(Path(name), random_clip(VIT_B_32))
    table(f"sync of {VIT_B_32.name} into Milvus Lite, against forward passes of {BATCH}", [speed])
    memory = [measure_memory(size, random_clip(TINY)) for size in MEMORY_SIZES]
    table("a whole sync with a tiny model", memory)
    figures = {"model": VIT_B_32.name, "speed": speed, "memory": memory}
    save("sync", machine, figures, [partial(_draw_speed, speed=speed), partial(_draw_memory, memory=memory)])


def measure_speed(folder: Path, model: Path) -> Speed:
    write_corpus(folder / "images", IMAGES)
    bare = BareModel(model, served_precision(model))
    sides = alternate(
        {"bare": lambda: bare.rate("image", BATCH, BARE_S), "sync": partial(sync_rate, folder / "images", model)}, ROUNDS
    )
    least, most = sides.ratio_range("sync", "bare")
    return Speed(IMAGES, sides.median("sync"), sides.median("bare"), sides.ratio("sync", "bare"), least, most)


def sync_rate(images: Path, model: Path) -> float:
    """Images a second; see `one_sync`."""
    command = [sys.executable, "-m", "benchmarks.one_sync", str(images), str(model)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SYNC_TIMEOUT_S, check=True)  # noqa: S603 - ours
    return float(ran.stdout)


def measure_memory(images: int, model: Path) -> Memory:
    """Of the command as users run it."""
    with tempfile.TemporaryDirectory(prefix="ml-api-benchmark-") as name:
        folder = Path(name)
        write_corpus(folder / "images", images)
        paths = {"corpus": folder / "images", "data_dir": folder / "data"}
        settings = environment(model=model, log_level="warning", **paths)
        started = perf_counter()
        process = subprocess.Popen([sys.executable, "-m", "ml_api", "sync"], cwd=ROOT, env=settings)
        peak = _await_peak_rss(process, started + MEMORY_TIMEOUT_S)
        return Memory(images, peak / 2**20, perf_counter() - started)


def _await_peak_rss(process: "subprocess.Popen[bytes]", deadline: float) -> int:
    """Wait for the end of `process` and return the most bytes it held. Raises RuntimeError if it fails or takes too long.

    Looked up again and again while it lives: the system's account of an ended child (`ru_maxrss`) begins with its parent's memory.
    """
    peak = 0
    while process.poll() is None:
        if perf_counter() > deadline:
            process.kill()
            process.wait()
            raise RuntimeError("the sync took too long")
        peak = max(peak, peak_rss_bytes(process.pid))
        sleep(POLL_S)
    if process.returncode != 0:
        raise RuntimeError(f"the sync ended with {process.returncode}")
    return peak


def _draw_speed(axis: "Axes", *, speed: Speed) -> None:
    series = {"bare forward pass": [speed.bare_per_s], "sync": [speed.images_per_s]}
    bars(axis, "folder to Milvus Lite", "images a second", [f"{VIT_B_32.name}\n{speed.ratio:.0%}"], series)


def _draw_memory(axis: "Axes", *, memory: list[Memory]) -> None:
    peaks = {"sync with a tiny model": [row.peak_rss_mb for row in memory]}
    bars(axis, "peak memory", "MB", [f"{row.images:,} images" for row in memory], peaks)


if __name__ == "__main__":
    main()
