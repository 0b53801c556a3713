"""Clients that are up to no good, or have a bad line: what others notice of them, beside the same without them.

Each row is one kind of client. Others search by text all the while, four at a time, and ask whether the process is alive.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from benchmarks.load import HOST, Load, closed_loop, get
from benchmarks.machine import describe
from benchmarks.measuring import percentile_ms
from benchmarks.results import save, table
from benchmarks.service import requests, running_service
from tests.e2e.server_process import MODEL

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OTHERS: Final = 4
SECONDS: Final = 8.0
BEGIN_S: Final = 1.0
"""For an attack to take hold before it is measured."""
CONNECT_S: Final = 5.0
BODY_BYTES: Final = 5_000_000

_HEAD = f"HTTP/1.1\r\nHost: {HOST}\r\n"
_UPLOAD = f"POST /v1/search/image {_HEAD}Content-Type: image/jpeg\r\nContent-Length: {BODY_BYTES}\r\n\r\n".encode()


@dataclass(frozen=True, slots=True)
class Attack:
    name: str
    clients: int
    first: bytes
    """What each sends at once."""
    part: bytes = b""
    every_s: float = 1.0
    """How often each sends `part`."""


ATTACKS: Final[Sequence[Attack]] = (
    Attack("a header byte a second", 200, f"GET /v1/stats {_HEAD}X-Slow: ".encode(), b"x"),
    Attack("two that drip GET /livez", 2, b"GET /livez HT", b"T", 2.0),
    Attack("a body byte in 4 s", 100, _UPLOAD, b"x", 4.0),
    Attack("slow phones, 50 KB/s", 32, _UPLOAD, b"x" * 25_000, 0.5),
    Attack("silent connections", 1100, b""),
    Attack("deaf to their answers", 64, get("/static/page.js") * 200),
)


@dataclass(frozen=True, slots=True)
class Row:
    clients: str
    count: int
    p50_ms: float
    p50_idle_ms: float
    p99_ms: float
    p99_idle_ms: float
    p99_ratio: float
    not_answered: int
    """Of the others' searches."""
    livez_worst_ms: float


@dataclass(frozen=True, slots=True)
class CrowdRow:
    """Many that ask as fast as they are answered, on connections that stay."""

    clients: int
    answered: int
    refused: int
    refusal_p50_ms: float
    refusal_p99_ms: float
    livez_worst_ms: float


def main() -> None:
    machine = describe()
    with running_service(MODEL) as server:
        closed_loop(server.port, requests("text"), OTHERS, 2.0)
        rows = [measure(server.port, attack) for attack in ATTACKS]
        crowd = measure_crowd(server.port, 800)
    table(f"{OTHERS} others search by text for {SECONDS:.0f} s, without and beside", rows)
    table("clients that ask again at once", [crowd])
    save("hostile", machine, {"rows": rows, "crowd": crowd}, [partial(_draw, rows=rows)])


def measure(port: int, attack: Attack) -> Row:
    idle, _ = _others(port)
    with _under(port, attack):
        time.sleep(BEGIN_S)
        beside, livez_s = _others(port)
    return Row(
        clients=attack.name,
        count=attack.clients,
        p50_ms=beside.percentile_ms(50),
        p50_idle_ms=idle.percentile_ms(50),
        p99_ms=beside.percentile_ms(99),
        p99_idle_ms=idle.percentile_ms(99),
        p99_ratio=beside.percentile_ms(99) / idle.percentile_ms(99),
        not_answered=len(beside.answers) - len(beside.succeeded),
        livez_worst_ms=livez_s * 1000,
    )


def measure_crowd(port: int, clients: int) -> CrowdRow:
    load, livez_s = _watched(port, lambda: closed_loop(port, requests("text"), clients, SECONDS))
    refusals = [answer.seconds for answer in load.answers if answer.status == 503]
    return CrowdRow(
        clients=clients,
        answered=len(load.succeeded),
        refused=len(refusals),
        refusal_p50_ms=percentile_ms(refusals, 50),
        refusal_p99_ms=percentile_ms(refusals, 99),
        livez_worst_ms=livez_s * 1000,
    )


def _others(port: int) -> tuple[Load, float]:
    return _watched(port, lambda: closed_loop(port, requests("text"), OTHERS, SECONDS))


def _watched(port: int, work: Callable[[], Load]) -> tuple[Load, float]:
    """What came of `work`, and the longest that `/livez` took meanwhile, each time on a connection of its own."""
    done, longest = threading.Event(), [0.0]

    def watch() -> None:
        while not done.wait(0.1):
            longest.append(_livez_s(port))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        return work(), max(longest)
    finally:
        done.set()
        watcher.join()


def _livez_s(port: int) -> float:
    """Infinite if it is not answered."""
    started = time.perf_counter()
    try:
        with socket.create_connection((HOST, port), timeout=60) as client:
            client.sendall(get("/livez"))
            return time.perf_counter() - started if client.recv(12) == b"HTTP/1.1 200" else float("inf")
    except OSError:
        return float("inf")


@contextmanager
def _under(port: int, attack: Attack) -> Iterator[None]:
    """Beside `attack.clients` that go on until the context ends; who is hung up on comes again."""
    done = threading.Event()
    clients: list[socket.socket] = []

    def go_on() -> None:
        while True:
            while len(clients) < attack.clients:
                clients.append(_begin(port, attack))
            for client in [one for one in clients if not _goes_on(one, attack)]:
                clients.remove(client)
                client.close()
            if done.wait(attack.every_s):
                return

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        for client in clients:
            client.close()


def _begin(port: int, attack: Attack) -> socket.socket:
    client = socket.create_connection((HOST, port), timeout=CONNECT_S)
    client.settimeout(0)
    with suppress(BlockingIOError):
        client.send(attack.first)
    return client


def _goes_on(client: socket.socket, attack: Attack) -> bool:
    """Send the next part. Whether the connection still stands."""
    try:
        if not attack.part:
            return client.recv(1, socket.MSG_PEEK) != b""
        client.send(attack.part)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return True


def _draw(axis: "Axes", *, rows: Sequence[Row]) -> None:
    axis.barh([row.clients for row in rows], [row.p99_ratio for row in rows])
    axis.axvline(2, color="grey", linestyle=":")
    axis.set(title="others' searches beside each", xlabel="p99, times that without")
    axis.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main()
