"""Request bodies, read before the request takes a thread or a permit, so that a slow client delays only itself."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from werkzeug.exceptions import RequestEntityTooLarge

from ml_api.errors import MalformedRequest, Overloaded, RequestTimeout
from ml_api.serving.asgi import Receive

SILENCE_S: Final = 10.0
"""Longest pause within a body."""
TOTAL_S: Final = 120.0
"""Longest time for all of a body: 12 MB over a line of 1 Mbit/s take 96 s."""
BUFFERED_BYTES: Final = 256 * 2**20
"""Limit for all bodies together except small ones, from their first byte until their requests are answered.

Beyond it the slowest unfinished body is dropped: the one that received its last SMALL_BYTES the longest time ago.
"""
SMALL_BYTES: Final = 64 * 1024
"""Bodies up to this size are not counted, so that other uploads never cause their refusal."""
DISCARDED_BYTES: Final = 2**20
DISCARD_S: Final = 0.2
"""A refused body up to this size that arrives within this time is read before the answer, which costs half of reading it after."""
LINGER_S: Final = 5.0
"""Time to read on after an early answer: if the connection were closed at once, the client would not see it (RFC 9112, 9.6)."""


@dataclass(eq=False, slots=True)
class _Upload:
    patience: asyncio.Timeout
    body: bytearray = field(default_factory=bytearray)
    """Not a list of parts, whose number a client with chunks of one byte would decide."""
    is_dropped: bool = False


class Bodies:
    """Reads bodies of at most `max_bytes` each. For one event loop."""

    def __init__(
        self,
        max_bytes: int,
        *,
        silence_s: float = SILENCE_S,
        total_s: float = TOTAL_S,
        linger_s: float = LINGER_S,
        buffered_bytes: int = BUFFERED_BYTES,
    ) -> None:
        self._max_bytes = max_bytes
        self._silence_s = silence_s
        self._total_s = total_s
        self._linger_s = linger_s
        self._buffered_bytes = buffered_bytes
        self._buffered = 0
        self._unfinished: OrderedDict[_Upload, None] = OrderedDict()
        """Counted unfinished bodies, the slowest first."""

    def check(self, stated_bytes: int) -> None:
        """Raises RequestEntityTooLarge for a declared length over the limit."""
        if stated_bytes > self._max_bytes:
            raise RequestEntityTooLarge

    async def read(self, receive: Receive) -> bytes:
        """The whole body, to be returned with `release`. Raises as `check`, and Overloaded, RequestTimeout, MalformedRequest."""
        upload = _Upload(asyncio.timeout(self._total_s))
        try:
            async with upload.patience:
                while await self._read_part(receive, upload):
                    pass
        except TimeoutError:
            self._give_up(upload)
            if upload.is_dropped:
                raise _no_room() from None
            raise RequestTimeout(
                f"the request body did not arrive: nothing for {self._silence_s:g} s, or not all of it within {self._total_s:g} s"
            ) from None
        except BaseException:
            self._give_up(upload)
            raise
        self._unfinished.pop(upload, None)
        return bytes(upload.body)

    async def _read_part(self, receive: Receive, upload: _Upload) -> bool:
        """Whether more parts follow."""
        async with asyncio.timeout(self._silence_s):
            message = await receive()
        if upload.is_dropped:  # by another body's part in the same turn of the event loop
            raise _no_room()
        if message["type"] == "http.disconnect":
            raise MalformedRequest("the request body broke off, or is not well-formed HTTP/1.1")
        before = len(upload.body)
        upload.body += message.get("body", b"")
        size = len(upload.body)
        self._buffered += _counted(size) - _counted(before)
        self.check(size)
        if size > SMALL_BYTES and (size // SMALL_BYTES > before // SMALL_BYTES or upload not in self._unfinished):
            self._unfinished[upload] = None
            self._unfinished.move_to_end(upload)
        while self._buffered > self._buffered_bytes:
            self._drop_slowest()
        if upload.is_dropped:
            raise _no_room()
        return bool(message.get("more_body", False))

    def _drop_slowest(self) -> None:
        upload, _ = self._unfinished.popitem(last=False)
        upload.is_dropped = True
        self._buffered -= len(upload.body)
        if not upload.patience.expired():  # otherwise it wakes up anyway
            upload.patience.reschedule(0)  # its reader wakes up with a TimeoutError

    def _give_up(self, upload: _Upload) -> None:
        self._unfinished.pop(upload, None)
        if not upload.is_dropped:
            self._buffered -= _counted(len(upload.body))

    def release(self, body: bytes) -> None:
        self._buffered -= _counted(len(body))

    async def read_before(self, receive: Receive) -> bool:
        """Read and discard the body of a request before it is refused, for at most DISCARD_S. Whether all of it came."""
        return await _discarded(receive, DISCARD_S)

    async def read_on(self, receive: Receive) -> None:
        """Read and discard what a refused client still sends, for at most `linger_s`."""
        await _discarded(receive, self._linger_s)


async def _discarded(receive: Receive, within_s: float) -> bool:
    """Whether the end of the body came within that time."""
    try:
        async with asyncio.timeout(within_s):
            while (message := await receive()).get("more_body", False):
                pass
    except TimeoutError:
        return False
    return bool(message["type"] == "http.request")


def _counted(size: int) -> int:
    return size if size > SMALL_BYTES else 0


def _no_room() -> Overloaded:
    return Overloaded("more is being uploaded than fits in memory; try again", reason="memory_full")
