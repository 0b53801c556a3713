"""How long each stage of a search took, measured in the context of its request, also if the search failed.

A view calls `begin`, and the code that it calls times its own part with `stage`; nothing is passed as an argument. When the request
ends, `api.observe` writes the times to the log line, the histogram and the span.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from time import perf_counter

from ml_api.vocabulary import Operation, Stage


@dataclass(frozen=True, slots=True)
class Timed:
    """One search. A stage that it enters twice counts with both times added up."""

    operation: Operation
    seconds: dict[Stage, float] = field(default_factory=dict)


_current: ContextVar[Timed | None] = ContextVar("timed", default=None)


def begin(operation: Operation) -> None:
    """Time the stages of a search in this thread from now on, until `end`."""
    _current.set(Timed(operation))


def end() -> Timed | None:
    """The search that this thread was timing, if any."""
    timed = _current.get()
    _current.set(None)
    return timed


def so_far() -> Mapping[Stage, float]:
    """The seconds of each stage that the search in this thread has left."""
    timed = _current.get()
    return {} if timed is None else timed.seconds


@contextmanager
def stage(name: Stage) -> Iterator[None]:
    started = perf_counter()
    try:
        yield
    finally:
        took(name, perf_counter() - started)


def took(name: Stage, seconds: float) -> None:
    """Record a time that was measured elsewhere, as in the thread of a batch. Without effect outside a search."""
    timed = _current.get()
    if timed is not None:
        timed.seconds[name] = timed.seconds.get(name, 0.0) + seconds
