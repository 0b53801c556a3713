"""For whom work is being done: the request's id and its place in a trace, carried along wherever the work goes.

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
    """One request, or one run of a command, which has no `request_id`. Ids are lower-case hex, as W3C wants them."""

    request_id: str | None
    trace_id: str
    span_id: str
    """Of our own part of the trace."""
    parent_id: str | None
    """The caller's span, if the caller sent one."""
    sampled: bool
    """Whether the caller, if there is one, records this trace."""

    @property
    def traceresponse(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.sampled:02x}"


_current: ContextVar[tuple[Origin, ...]] = ContextVar("origins", default=())


def request_origin(request_id: str | None, traceparent: str | None) -> Origin:
    """Of a request with these headers. What is missing or malformed is made anew."""
    request_id = accepted_id(request_id)
    given = _TRACEPARENT.fullmatch(traceparent or "")
    if given is None or (given[1] == "00" and given[5]):  # later versions may append, the first may not
        return Origin(request_id, secrets.token_hex(16), secrets.token_hex(8), None, sampled=True)
    return Origin(request_id, given[2], secrets.token_hex(8), given[3], sampled=bool(int(given[4], 16) & 1))


def accepted_id(request_id: str | None) -> str:
    """A client's `X-Request-ID` as it came, or a new one where it is missing or malformed."""
    return request_id if request_id and _REQUEST_ID.fullmatch(request_id) else secrets.token_hex(16)


def run_origin() -> Origin:
    """Of a command's run, the beginning of a trace."""
    return Origin(None, secrets.token_hex(16), secrets.token_hex(8), None, sampled=True)


def origins() -> tuple[Origin, ...]:
    """For whom this thread is working now."""
    return _current.get()


def request_id() -> str:
    """Of the request that this thread is answering; empty if there is none."""
    return next((origin.request_id for origin in origins() if origin.request_id), "")


def exemplar() -> dict[str, str] | None:
    """The label of a measurement that leads to its trace."""
    return {"trace_id": origins()[0].trace_id} if origins() else None


@contextmanager
def on_behalf_of(whom: Iterable[Origin]) -> Iterator[None]:
    """Work for these, until the context ends."""
    token = _current.set(tuple(whom))
    try:
        yield
    finally:
        _current.reset(token)


def begin(origin: Origin) -> None:
    """Work for `origin` in this thread from now on, until `end`: for servers that call before and after a request."""
    _current.set((origin,))


def end() -> None:
    _current.set(())
