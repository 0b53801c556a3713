"""The origin of work: the request's id and its place in a trace, passed along with the work.

A trace is what several services do for one request. Its id comes in the header `traceparent` of W3C Trace Context
(https://www.w3.org/TR/trace-context/), or is made here; our own part of it is a span. What is done for several requests at once
(a batch) is done for all of them.
"""

import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TRACEPARENT: Final = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


@dataclass(frozen=True, slots=True)
class Origin:
    """A request, or a run of a command, which has no `request_id`. Ids are lower-case hex (W3C Trace Context)."""

    request_id: str | None
    trace_id: str
    span_id: str
    """The id of our own span."""
    parent_id: str | None
    """The id of the caller's span, if sent."""
    sampled: bool
    """Whether the caller, if any, records this trace."""

    @property
    def traceresponse(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.sampled:02x}"


_current: ContextVar[tuple[Origin, ...]] = ContextVar("origins", default=())


def request_origin(request_id: str | None, traceparent: str | None) -> Origin:
    """The origin of a request with these headers. Missing or malformed ids are replaced by new ones."""
    request_id = accepted_id(request_id)
    given = _TRACEPARENT.fullmatch(traceparent or "")
    if given is None or (given[1] == "00" and given[5]):  # version 00 has exactly four fields; later ones may append more
        return Origin(request_id, secrets.token_hex(16), secrets.token_hex(8), None, sampled=True)
    return Origin(request_id, given[2], secrets.token_hex(8), given[3], sampled=bool(int(given[4], 16) & 1))


def accepted_id(request_id: str | None) -> str:
    """The client's `X-Request-ID`, or a new one if it is missing or malformed."""
    return request_id if request_id and _REQUEST_ID.fullmatch(request_id) else secrets.token_hex(16)


def run_origin() -> Origin:
    """The origin of a command's run, which begins a trace."""
    return Origin(None, secrets.token_hex(16), secrets.token_hex(8), None, sampled=True)


def origins() -> tuple[Origin, ...]:
    """The origins of this thread's work."""
    return _current.get()


def request_id() -> str:
    """The id of the request that this thread is answering, or empty."""
    return next((origin.request_id for origin in origins() if origin.request_id), "")


def exemplar() -> dict[str, str] | None:
    """The exemplar label that leads from a measurement to its trace."""
    return {"trace_id": origins()[0].trace_id} if origins() else None


@contextmanager
def on_behalf_of(whom: Iterable[Origin]) -> Iterator[None]:
    """Mark this thread's work as done for `whom`, until the context ends."""
    token = _current.set(tuple(whom))
    try:
        yield
    finally:
        _current.reset(token)


def begin(origin: Origin) -> None:
    """Mark this thread's work as done for `origin`, until `end`: for hooks before and after a request."""
    _current.set((origin,))


def end() -> None:
    _current.set(())
