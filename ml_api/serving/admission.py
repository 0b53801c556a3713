"""Whether one more request can be answered soon, decided before any work is spent on it.

Under more load than it can carry, a service that queues every request answers every request late, also those whose clients gave up.
Here the queue is only as long as can be served in time; requests over that are refused at once.
"""

from dataclasses import dataclass
from typing import Final

_MEMORY: Final = 0.98
"""What the past counts for after one more answer: about the last fifty decide."""
_CAUTION: Final = 3.0
"""How many times the usual error of the estimate is kept in reserve."""


@dataclass(frozen=True, slots=True)
class Permit:
    """Of one admitted request."""

    position: int
    """In the queue when it was admitted: 1 if it was alone."""
    expected_s: float
    """Estimate, at that time, of how long its answer takes."""


class Admission:
    """The queue of requests that were admitted and are not answered yet. For one thread.

    The cost of a position in the queue is learnt from answered requests: the n-th that took t seconds stands for t / n. So
    batching, slow images and a busy machine all count, whatever their causes. How far such estimates fell short is kept in reserve,
    as TCP does for its timeouts (RFC 6298). An empty queue always admits.
    """

    def __init__(self, limit: int, wait_s: float) -> None:
        """At most `limit` requests at once, and none that would wait longer than `wait_s` for those before it."""
        self.limit = limit
        self._wait_s = wait_s
        self._length = 0
        self._seconds = 0.0
        self._positions = 0.0
        self._shortfall_s = 0.0

    @property
    def length(self) -> int:
        """How many were admitted and are not answered yet."""
        return self._length

    @property
    def full(self) -> bool:
        """Whether no request would be admitted now."""
        return self._length > 0 and (self._length >= self.limit or self._longest_wait_s() > self._wait_s)

    def acquire(self) -> Permit | None:
        """A permit, to be given back with `release`; None if the queue is full."""
        if self.full:
            return None
        self._length += 1
        return Permit(self._length, self._expected_s(self._length))

    def release(self, permit: Permit, seconds: float) -> None:
        """After `seconds` of waiting and work, without those that its client took to send and to listen."""
        if self._positions:
            self._shortfall_s = _MEMORY * self._shortfall_s + (1 - _MEMORY) * max(0.0, seconds - permit.expected_s)
        self._length -= 1
        self._seconds = _MEMORY * self._seconds + seconds
        self._positions = _MEMORY * self._positions + permit.position

    def _longest_wait_s(self) -> float:
        """For those in the line now, nearly always."""
        return self._expected_s(self._length) + _CAUTION * self._shortfall_s

    def _expected_s(self, positions: int) -> float:
        return positions * self._seconds / self._positions if self._positions else 0.0
