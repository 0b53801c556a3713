"""ASGI messages (https://asgi.readthedocs.io): the headers of a request, and an answer with the sending of it."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class RequestHeaders:
    """The first header of each name."""

    def __init__(self, scope: Scope) -> None:
        self._values: dict[bytes, bytes] = dict(reversed(scope["headers"]))

    def __contains__(self, name: str) -> bool:
        return name.encode() in self._values

    def get(self, name: str) -> str:
        """The value of the header with this name, in lower case; "" if there is none."""
        return self._values.get(name.encode(), b"").decode("latin-1")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the application: its beginning, and the `pieces` that follow."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    pieces: Iterator[bytes] | None = None

    @classmethod
    def whole(cls, status: int, headers: Mapping[str, str], body: bytes) -> Self:
        """An answer in one piece; its length is added to the headers."""
        return cls(status, encoded({**headers, "Content-Length": str(len(body))}.items()), body)

    def with_headers(self, more: Mapping[str, str]) -> Self:
        return replace(self, headers=[*self.headers, *encoded(more.items())]) if more else self


def encoded(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI has them."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


async def send_answer(send: Send, answer: Answer, *, close: bool) -> None:
    """Send an answer, or its beginning if it has more pieces."""
    headers = [*answer.headers, (b"connection", b"close")] if close else answer.headers
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": answer.pieces is not None})
