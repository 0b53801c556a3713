"""Bodies of requests, read before a thread or a place in the line is given to them: a client that sends slowly waits alone."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from werkzeug.exceptions import RequestEntityTooLarge

from ml_api.errors import MalformedRequest, Overloaded, RequestTimeout

SILENCE_S: Final = 10.0
"""Longest wait for the next bytes of a body."""
TOTAL_S: Final = 120.0
"""Longest time for all of a body: 12 MB over a line of 1 Mbit/s take 96 s."""
BUFFERED_BYTES: Final = 256 * 2**20
"""Of all bodies together, from their first byte until their requests are answered."""
LINGER_S: Final = 5.0
"""How long a client may go on sending after its answer: hung up on at once, it would not see it (RFC 9112, section 9.6)."""

Receive = Callable[[], Awaitable[dict[str, Any]]]


class Bodies:
    """Reads bodies of at most `max_bytes` each. For one event loop."""

    def __init__(
        self, max_bytes: int, *, silence_s: float = SILENCE_S, total_s: float = TOTAL_S, linger_s: float = LINGER_S
    ) -> None:
        self._max_bytes = max_bytes
        self._silence_s = silence_s
        self._total_s = total_s
        self._linger_s = linger_s
        self._buffered = 0

    def check(self, stated_bytes: int) -> None:
        """Raises RequestEntityTooLarge for a length that need not be read to be refused."""
        if stated_bytes > self._max_bytes:
            raise RequestEntityTooLarge

    async def read(self, receive: Receive) -> bytes:
        """All of it; give it back with `release`. Raises as `check`, and Overloaded, RequestTimeout, MalformedRequest."""
        body = bytearray()  # and no list of parts: whoever sends chunks of one byte decides how many there are
        try:
            async with asyncio.timeout(self._total_s):
                while await self._read_part(receive, body):
                    pass
        except TimeoutError:
            self._buffered -= len(body)
            raise RequestTimeout(
                f"the request body did not arrive: nothing for {self._silence_s:g} s, or not all of it within {self._total_s:g} s"
            ) from None
        except BaseException:
            self._buffered -= len(body)
            raise
        return bytes(body)

    async def _read_part(self, receive: Receive, body: bytearray) -> bool:
        """Whether there is more to come."""
        async with asyncio.timeout(self._silence_s):
            message = await receive()
        if message["type"] == "http.disconnect":
            raise MalformedRequest("the request body broke off, or is not well-formed HTTP/1.1")
        part: bytes = message.get("body", b"")
        body += part
        self._buffered += len(part)
        self.check(len(body))
        if self._buffered > BUFFERED_BYTES:
            raise Overloaded("more is being uploaded than fits in memory; try again")
        return bool(message.get("more_body", False))

    def release(self, body: bytes) -> None:
        self._buffered -= len(body)

    async def read_on(self, receive: Receive) -> None:
        """Forget what a refused client is still sending, for a while."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._linger_s):
                while (await receive()).get("more_body", False):
                    pass
