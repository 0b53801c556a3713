"""Closes the longest idle connections when no further ones can be accepted.

granian accepts a fixed number of connections and lets others wait until one of them ends: 1,100 silent ones delayed health checks
by 19 s. It cannot close connections, so this module closes them through the sockets of the process.
"""

import asyncio
import errno
import logging
import os
import resource
import socket
import struct
import sys
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Final, Self

from ml_api.logs.throttle import LogThrottle

LOOK_S: Final = 0.1
"""Interval of the check for connections that wait to be accepted, which is one system call."""
SHARE: Final = 16
"""At least this part of all connections is closed at once, because examining each takes some 10 µs."""
LEAST_IDLE_MS: Final = 100
"""Shorter idle times may be a request in transit."""

_INFO: Final = struct.Struct("B 23x I 16x I 4x I")
"""Fields of `struct tcp_info` (linux/tcp.h): `state`, `unacked`, `last_data_sent` and `last_data_recv` in milliseconds."""
_LISTENS: Final = 10

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Socket:
    descriptor: int
    listens: bool
    waiting: int
    """Connections to be accepted, if it listens."""
    idle_ms: int
    """Time since a byte was received or sent."""

    @classmethod
    def of(cls, descriptor: int, port: int) -> Self | None:
        """The socket, or None if it is not a TCP socket of this port."""
        try:
            with _borrowed(descriptor) as lent:
                info = lent.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size)
                if lent.getsockname()[1] != port:
                    return None
        except OSError:  # another kind of socket, a file, or unused
            return None
        state, waiting, sent_ms, received_ms = _INFO.unpack(info)
        return cls(descriptor, state == _LISTENS, waiting, min(sent_ms, received_ms))


class ConnectionReaper:
    """Watches the connections that one port has accepted, at most `most`. On Linux only; elsewhere it does nothing."""

    def __init__(self, port: int, most: int, busy: Container[int]) -> None:
        """Connections with a client port in `busy` are being answered and stay open."""
        self._port = port
        self._most = most
        self._busy = busy
        self._throttle = LogThrottle(_log)
        self._nothing = os.open(os.devnull, os.O_RDONLY)
        self._own = os.dup(self._nothing)
        """A reserved descriptor for examining connections, even if all others are in use. Both stay open as long as the process: a
        thread may still use them when nobody watches any more."""

    async def run(self) -> None:
        """Runs until cancelled."""
        if sys.platform != "linux":
            return
        listening: _Socket | None = None
        looks, pause_s = 0, LOOK_S
        while True:
            await asyncio.sleep(pause_s)
            pause_s = LOOK_S
            listening = listening and _Socket.of(listening.descriptor, self._port)
            listening = listening or await asyncio.to_thread(self._find_listening)
            looks = looks + 1 if listening and listening.waiting else 0
            if listening and looks > 1:  # they would have been accepted since the last check if there were room
                began = perf_counter()
                await asyncio.to_thread(self._close_idle, listening)
                pause_s = max(LOOK_S, 4 * (perf_counter() - began))

    def _close_idle(self, listening: _Socket) -> None:
        connections = [found for found in self._sockets() if not found.listens]
        if len(connections) < self._most and _descriptors_are_left():
            return
        idle = sorted((one for one in connections if one.idle_ms >= LEAST_IDLE_MS), key=lambda one: -one.idle_ms)
        closable = (one for one in idle if self._close(one))
        closed = len(list(islice(closable, max(listening.waiting, self._most // SHARE))))
        os.dup2(self._nothing, self._own)  # releases the last connection
        told = f"closed {closed} idle connections: {len(connections)} were open and more waited"
        self._throttle.log("crowded", told, logging.WARNING)

    def _close(self, connection: _Socket) -> bool:
        """Close it if it is still idle. It is duplicated first, because its descriptor may be reused at any moment."""
        with suppress(OSError):
            os.dup2(connection.descriptor, self._own)
            now = _Socket.of(self._own, self._port)
            if now and not now.listens and now.idle_ms >= connection.idle_ms:
                with _borrowed(self._own) as own:
                    if own.getpeername()[1] not in self._busy:
                        own.shutdown(socket.SHUT_RDWR)
                        return True
        return False

    def _find_listening(self) -> _Socket | None:
        return next((found for found in self._sockets() if found.listens), None)

    def _sockets(self) -> Iterator[_Socket]:
        """All sockets of the port."""
        for descriptor in open_descriptors():
            if descriptor != self._own and (found := _Socket.of(descriptor, self._port)):
                yield found


def open_descriptors() -> Iterable[int]:
    """The descriptors of this process, and no number that is not in use: the limit is often a million, and may be a billion.

    Listing them takes a descriptor. Where this process has none left, all numbers below its limit are in use.
    """
    try:
        return [int(path.name) for path in Path("/proc/self/fd").iterdir()]
    except OSError as exc:  # the system has none left, or no /proc, if not this process
        return range(resource.getrlimit(resource.RLIMIT_NOFILE)[0]) if exc.errno == errno.EMFILE else ()


@contextmanager
def _borrowed(descriptor: int) -> Iterator[socket.socket]:
    lent = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, descriptor)
    try:
        yield lent
    finally:
        lent.detach()


def _descriptors_are_left() -> bool:
    try:
        os.close(os.dup(0))
    except OSError as exc:
        return exc.errno != errno.EMFILE
    return True
