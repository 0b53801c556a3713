"""What others notice of files that cost their decoder far more than their size tells, and what the bounds cost everybody.

Each row sends one such file over and over, or eight at once, while others search by text. Then photographs are decoded and made the
square that a model sees in the caller's thread, without bounds, and in decoding processes, in turns.
"""

import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from PIL import Image

from benchmarks.load import Load, closed_loop
from benchmarks.machine import describe
from benchmarks.measuring import Sides, alternate, rate_of
from benchmarks.results import bars, save, table
from benchmarks.service import requests, running_service
from ml_api import cores
from ml_api.images import Decoder, ImageLimits, InlineDecoder, Square
from ml_api.images.processes import Bounds, ProcessDecoder
from ml_api.metrics import Metrics
from monitoring.local.launcher import DIRECTLY
from tests.e2e.server_process import MODEL, children
from tests.files.costly_images import COSTLY, photograph

if TYPE_CHECKING:
    from multiprocessing.queues import Queue
    from multiprocessing.synchronize import Event

    from matplotlib.axes import Axes

OTHERS: Final = 4
SECONDS: Final = 8.0
AT_ONCE: Final = 8
LONGEST_ANSWER_S: Final = 60.0
NOT_ANSWERED: Final = 0
SAMPLE_S: Final = 0.05
FIT: Final = Square(224, 224, Image.Resampling.BICUBIC)
"""CLIP's."""
ROUNDS: Final = 7
ROUND_S: Final = 2.0
THREADS: Final = 4
LIMITS: Final = ImageLimits(32 * 2**20, 128_000_000, 20)
SOUND: Final[Mapping[str, Callable[[], bytes]]] = {
    "photograph, 108 megapixels": lambda: photograph(12_000, 9_000, quality=80),
    "photograph, 26 MB": lambda: photograph(8192, 5464, quality=95, noise=60),
}
DECODED: Final[Mapping[str, Callable[[], bytes]]] = {
    "small": lambda: photograph(500, 375),
    "12 megapixels": lambda: photograph(4000, 3000),
}


@dataclass(frozen=True, slots=True)
class Row:
    files: str
    p50_ms: float
    p99_ms: float
    p99_idle_ms: float
    p99_ratio: float
    others_failed: int
    answers: str
    """Statuses of those who sent the files, and how many."""
    slowest_answer_s: float
    memory_mb: float
    """At its peak, of all processes together, without the programs themselves."""


@dataclass(frozen=True, slots=True)
class DecodingRow:
    images: str
    in_place_per_s: float
    in_processes_per_s: float
    ratio: float
    worst_ratio: float
    best_ratio: float


def main() -> None:
    machine = describe()
    files = {name: make() for name, make in {**COSTLY, **SOUND}.items()}
    with running_service(MODEL) as server:
        search(server, 2.0)
        rows = [beside(server, name, [data]) for name, data in files.items()]
        every = cycle(files.values())
        rows += [beside(server, f"{AT_ONCE} at once, {round_ + 1}", list(islice(every, AT_ONCE))) for round_ in range(3)]
    table("Others' text searches beside costly files", rows)
    decoding = [throughput(name, make()) for name, make in DECODED.items()]
    table("Decoding in processes beside decoding in place", decoding)
    save("costly_images", machine, {"rows": rows, "decoding": decoding}, [partial(_draw, rows=rows)])


def search(server: Any, seconds: float) -> Load:
    return closed_loop(server.port, requests("text"), OTHERS, seconds)


def beside(server: Any, name: str, files: Sequence[bytes]) -> Row:
    idle = search(server, SECONDS / 2)
    with _sending(server, files) as answers, _memory(server.process.pid) as peak:
        busy = search(server, SECONDS)
    statuses = [status for status, _ in answers]
    return Row(
        name,
        busy.percentile_ms(50),
        busy.percentile_ms(99),
        idle.percentile_ms(99),
        busy.percentile_ms(99) / idle.percentile_ms(99),
        sum(count for status, count in busy.statuses.items() if status != 200),
        ", ".join(f"{status}: {statuses.count(status)}" for status in sorted(set(statuses))),
        max(seconds for _, seconds in answers),
        max(peak) / 2**20,
    )


@contextmanager
def _sending(server: Any, files: Sequence[bytes]) -> Iterator[list[tuple[int, float]]]:
    """Each of `files` again and again until the context ends: what was answered, and after how many seconds.

    From a process of its own: threads here would keep Python's lock from the clients whose waits are measured.
    """
    answers: list[tuple[int, float]] = []
    context = get_context("spawn")
    over, answered = context.Event(), context.Queue()
    sender = context.Process(target=_send, args=(server.url, files, over, answered), daemon=True)
    sender.start()
    answered.get(timeout=LONGEST_ANSWER_S)  # it has begun
    try:
        yield answers
    finally:
        over.set()
        answers += answered.get(timeout=2 * LONGEST_ANSWER_S)
        sender.join()


def _send(url: str, files: Sequence[bytes], over: "Event", answered: "Queue[list[tuple[int, float]]]") -> None:
    def send(data: bytes) -> list[tuple[int, float]]:
        answers = []
        while not over.is_set():
            started = perf_counter()
            status = _status(url, data)
            answers.append((status, perf_counter() - started))
        return answers

    with ThreadPoolExecutor(len(files)) as senders:
        sent = [senders.submit(send, data) for data in files]
        answered.put([])
        answered.put([answer for each in sent for answer in each.result()])


def _status(url: str, data: bytes) -> int:
    headers = {"Content-Type": "application/octet-stream"}
    request = urllib.request.Request(f"{url}/v1/search/image", data, headers)  # noqa: S310 - http
    try:
        with DIRECTLY.open(request, timeout=LONGEST_ANSWER_S) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:  # URLError is one; a connection that was reset, or no answer in time
        return NOT_ANSWERED


@contextmanager
def _memory(pid: int) -> Iterator[list[int]]:
    """Bytes that the process `pid` and all below it hold, looked at again and again."""
    seen, over = [0], threading.Event()

    def look() -> None:
        while not over.wait(SAMPLE_S):
            seen.append(sum(_held(each) for each in [pid, *children(pid)]))

    watch = threading.Thread(target=look)
    watch.start()
    try:
        yield seen
    finally:
        over.set()
        watch.join()


def _held(pid: int) -> int:
    """What a process holds of its own, by the kernel's counters: to walk through its pages would disturb the measurement."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # it ended
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(("RssAnon:", "RssShmem:")))


def throughput(name: str, data: bytes) -> DecodingRow:
    """Images a second from several threads, as requests come."""
    bounds = Bounds(max(2, cores.usable()), 2**30, 60.0)
    decoders: dict[str, Decoder] = {
        "in place": InlineDecoder(LIMITS),
        "in processes": ProcessDecoder(LIMITS, bounds, Metrics().decoding),
    }
    with ThreadPoolExecutor(THREADS) as threads, closing(decoders["in processes"]):

        def rate(decoder: Decoder) -> float:
            def work() -> int:
                return len(list(threads.map(lambda _: decoder.decode(data, FIT), range(2 * THREADS))))

            return rate_of(work, ROUND_S)

        for decoder in decoders.values():
            rate(decoder)
        sides: Sides = alternate({side: partial(rate, decoder) for side, decoder in decoders.items()}, ROUNDS)
    worst, best = sides.ratio_range("in processes", "in place")
    return DecodingRow(
        name, sides.median("in place"), sides.median("in processes"), sides.ratio("in processes", "in place"), worst, best
    )


def _draw(axis: "Axes", rows: Sequence[Row]) -> None:
    series = {"idle": [row.p99_idle_ms for row in rows], "beside": [row.p99_ms for row in rows]}
    bars(axis, "Others' texts, p99", "ms", [row.files for row in rows], series)


if __name__ == "__main__":
    main()
