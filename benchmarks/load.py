"""A load generator that costs little: one thread, non-blocking sockets, requests written beforehand, answers hardly read.

It runs on the cores of the server it measures, so what it takes is reported (`Load.generator_cores`). It speaks only the HTTP/1.1
that it needs: keep-alive and Content-Length, to a port on 127.0.0.1.
"""

import selectors
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from time import perf_counter, thread_time

from benchmarks.measuring import percentile_ms

HOST = "127.0.0.1"
GIVE_UP_S = 40.0
"""Longer than the server's own limit for a request, so that its answer is seen."""
MAX_CONNECTIONS = 900
TICK_S = 0.002
"""How late a request of an open loop may be sent."""
_RECEIVE_BYTES = 65_536

Due = Callable[[float, int], list[float]]
"""From the time now and the number of free connections to the times at which requests were to be sent since the last call."""

NO_ANSWER = 0
"""The status of a request whose connection broke, or that was given up."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    due: float
    """When the request was to be sent, on the clock of `perf_counter`."""
    seconds: float
    """From then to the last byte of the answer, so that a request held back by a slow server counts as slow."""

    @property
    def at(self) -> float:
        return self.due + self.seconds


@dataclass(slots=True)
class Load:
    """What came of one run."""

    answers: list[Answer] = field(default_factory=list)
    seconds: float = 0.0
    """From the first request to the last answer."""
    unsent: int = 0
    """Requests that found all MAX_CONNECTIONS in use."""
    generator_cores: float = 0.0
    """Share of one core that the generator took."""

    @property
    def statuses(self) -> dict[int, int]:
        return dict(Counter(answer.status for answer in self.answers))

    @property
    def succeeded(self) -> list[float]:
        """Seconds of each answer with status 200."""
        return [answer.seconds for answer in self.answers if answer.status == 200]

    @property
    def per_second(self) -> float:
        """Requests that succeeded, a second."""
        return len(self.succeeded) / self.seconds

    def require_success(self) -> "Load":
        """Raises RuntimeError if any request failed: a rate of errors is no rate."""
        failed = {status: count for status, count in self.statuses.items() if status != 200}
        if failed or not self.answers:
            raise RuntimeError(f"requests failed, by status: {failed}, of {len(self.answers)}")
        return self

    def percentile_ms(self, percent: float) -> float:
        return percentile_ms(self.succeeded, percent)


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()


def post(path: str, body: bytes, content_type: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def closed_loop(port: int, requests: Iterator[bytes], clients: int, seconds: float) -> Load:
    """`clients` that each send their next request when they have their answer, for `seconds`; then the last answers are awaited."""
    until = perf_counter() + seconds

    def due(now: float, idle: int) -> list[float]:
        return [now] * idle if now < until else []

    return _Generator(port, requests).run(due, clients, until)


def open_loop(port: int, requests: Iterator[bytes], per_second: float, seconds: float) -> Load:
    """Requests that come at their times whether others are answered or not, as those of many people do."""
    started = perf_counter()
    total, sent = int(per_second * seconds), 0

    def due(now: float, _idle: int) -> list[float]:
        nonlocal sent
        first, sent = sent, min(total, int((now - started) * per_second) + 1)
        return [started + index / per_second for index in range(first, sent)]

    return _Generator(port, requests).run(due, MAX_CONNECTIONS, started + seconds)


class _Connection:
    """One keep-alive connection, with at most one request on it."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(0)  # never block
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.connect_ex((HOST, port))
        self.unsent = memoryview(b"")
        self.due = 0.0
        self._received = bytearray()

    def is_open(self) -> bool:
        """Whether the server has not hung up while the connection was idle."""
        try:
            return bool(self.socket.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return True
        except OSError:
            return False

    def begin(self, request: bytes, due: float) -> None:
        self.unsent, self.due = memoryview(request), due
        self._received.clear()

    def send(self) -> None:
        """As much as the socket takes. Raises OSError."""
        with suppress(BlockingIOError):
            while self.unsent:
                self.unsent = self.unsent[self.socket.send(self.unsent) :]

    def receive(self) -> tuple[int, bool] | None:
        """The status, and whether the connection stays; None while the answer is incomplete. Raises OSError."""
        try:
            data = self.socket.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return None
        if not data:
            raise ConnectionResetError
        self._received += data
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0:
            return None
        head = bytes(self._received[:head_end]).lower()
        length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        if len(self._received) < head_end + 4 + length:
            return None
        # An answer to half a request is a refusal; the other half must not be taken for the next request.
        return int(head.split(b" ", 2)[1]), b"connection: close" not in head and not self.unsent


class _Generator:
    def __init__(self, port: int, requests: Iterator[bytes]) -> None:
        self._port = port
        self._requests = requests
        self._selector = selectors.DefaultSelector()
        self._idle: list[_Connection] = []
        self._busy: set[_Connection] = set()
        self._load = Load()
        self._next_look = 0.0

    def run(self, due: Due, connections: int, until: float) -> Load:
        started, cpu = perf_counter(), thread_time()
        try:
            while (now := perf_counter()) < until or self._busy:
                for when in due(now, connections - len(self._busy)):
                    self._send(when, connections)
                for key, events in self._selector.select(TICK_S):
                    self._advance(key.data, events)
                self._give_up(now)
        finally:
            for connection in [*self._idle, *self._busy]:
                connection.socket.close()
            self._selector.close()
        self._load.seconds = max((answer.at for answer in self._load.answers), default=perf_counter()) - started
        self._load.generator_cores = (thread_time() - cpu) / (perf_counter() - started)
        return self._load

    def _send(self, due: float, connections: int) -> None:
        if len(self._busy) >= connections:
            self._load.unsent += 1
            return
        connection = self._connection()
        connection.begin(next(self._requests), due)
        self._busy.add(connection)
        self._selector.register(connection.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, connection)

    def _connection(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open():
                return connection
            connection.socket.close()
        return _Connection(self._port)

    def _advance(self, connection: _Connection, events: int) -> None:
        try:
            answer = connection.receive() if events & selectors.EVENT_READ else None
            if answer is None and connection.unsent and events & selectors.EVENT_WRITE:
                connection.send()
                if not connection.unsent:
                    self._selector.modify(connection.socket, selectors.EVENT_READ, connection)
        except OSError:
            self._finish(connection, NO_ANSWER, keep=False)
            return
        if answer is not None:
            self._finish(connection, answer[0], keep=answer[1])

    def _finish(self, connection: _Connection, status: int, *, keep: bool) -> None:
        self._load.answers.append(Answer(status, connection.due, perf_counter() - connection.due))
        self._busy.remove(connection)
        self._selector.unregister(connection.socket)
        if keep:
            self._idle.append(connection)
        else:
            connection.socket.close()

    def _give_up(self, now: float) -> None:
        if now < self._next_look:
            return
        self._next_look = now + 1
        for connection in [one for one in self._busy if one.due < now - GIVE_UP_S]:
            self._finish(connection, NO_ANSWER, keep=False)
