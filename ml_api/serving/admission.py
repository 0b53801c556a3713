"""Admission control: decides whether a request can be answered soon, before any work is spent on it.

An overloaded service that queues every request answers every request late, even those whose clients have given up. Here the queue
is only as long as can be served in time; requests over that are refused at once.
"""

from dataclasses import dataclass
from typing import Final

_MEMORY: Final = 0.98
"""Decay of the moving averages at each answer: about the last fifty answers count."""
_CAUTION: Final = 3.0
"""The safety margin, in multiples of the average shortfall of the estimates."""


@dataclass(frozen=True, slots=True)
class Permit:
    """The permit of one admitted request."""

    position: int
    """Its position in the queue when it was admitted, from 1."""
    expected_s: float
    """The estimated time until its answer, at that time."""


class Admission:
    """The queue of admitted requests that are not answered yet. For one thread.

    The time for each position in the queue is learnt from answered requests: the n-th, answered after t seconds, counts as t / n.
    Batching, slow images and a busy machine are all included. A multiple of the average shortfall of these estimates is added as a
    margin, as TCP does for its timeouts (RFC 6298). An empty queue always admits.
    """

    def __init__(self, limit: int, wait_s: float) -> None:
        """Admits at most `limit` requests at once, and none with an expected wait over `wait_s`."""
        self.limit = limit
        self._wait_s = wait_s
        self._length = 0
        self._seconds = 0.0
        self._positions = 0.0
        self._shortfall_s = 0.0

    @property
    def length(self) -> int:
        """The number of admitted requests that are not answered yet."""
        return self._length

    @property
    def full(self) -> bool:
        """Whether the next request would be refused."""
        return self._length > 0 and (self._length >= self.limit or self._longest_wait_s() > self._wait_s)

    def acquire(self) -> Permit | None:
        """A permit, to be returned with `release`; None if the queue is full."""
        if self.full:
            return None
        self._length += 1
        return Permit(self._length, self._expected_s(self._length))

    def release(self, permit: Permit, seconds: float) -> None:
        """Return a permit after `seconds` of waiting and work, without the time that the client took to send and to receive."""
        if self._positions:
            self._shortfall_s = _MEMORY * self._shortfall_s + (1 - _MEMORY) * max(0.0, seconds - permit.expected_s)
        self._length -= 1
        self._seconds = _MEMORY * self._seconds + seconds
        self._positions = _MEMORY * self._positions + permit.position

    def _longest_wait_s(self) -> float:
        """Upper estimate of the wait of a new request."""
        return self._expected_s(self._length) + _CAUTION * self._shortfall_s

    def _expected_s(self, positions: int) -> float:
        return positions * self._seconds / self._positions if self._positions else 0.0
