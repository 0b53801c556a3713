"""Whether one more request can be answered soon, decided before any work is spent on it.

Under more load than it can carry, a service that lets everybody in answers everybody late, and those who gave up as well. Here the
line is only as long as it can be served in time; who comes on top is told so at once.
"""

from dataclasses import dataclass
from typing import Final

_MEMORY: Final = 0.98
"""What the past counts for after one more answer: about the last fifty decide."""
_CAUTION: Final = 3.0
"""How many times the usual error of the estimate is kept in reserve."""


@dataclass(frozen=True, slots=True)
class Place:
    """Of one request in the line."""

    number: int
    """When it came, itself included."""
    expected_s: float
    """How long its answer was thought to take."""


class Admission:
    """The requests that were let in and are not answered yet. For one thread.

    What a place in the line costs is learnt from those who left it: one who was the n-th and took t seconds says t / n. Batching,
    slow images and a busy machine are all in it, without a word about their causes. How far such estimates fell short is kept in
    reserve, as TCP does for its timeouts (RFC 6298). An empty line always lets in.
    """

    def __init__(self, limit: int, wait_s: float) -> None:
        """At most `limit` at once, and nobody who would have to wait longer than `wait_s` for those before."""
        self.limit = limit
        self._wait_s = wait_s
        self._length = 0
        self._seconds = 0.0
        self._places = 0.0
        self._shortfall_s = 0.0

    @property
    def length(self) -> int:
        """How many were let in and are not answered yet."""
        return self._length

    @property
    def full(self) -> bool:
        """Whether nobody would be let in now."""
        return self._length > 0 and (self._length >= self.limit or self._longest_wait_s() > self._wait_s)

    def enter(self) -> Place | None:
        """A place, to be given back with `leave`; None if there is none to be had."""
        if self.full:
            return None
        self._length += 1
        return Place(self._length, self._expected_s(self._length))

    def leave(self, place: Place, seconds: float) -> None:
        """After `seconds` of waiting and work, without those that its client took to send and to listen."""
        if self._places:
            self._shortfall_s = _MEMORY * self._shortfall_s + (1 - _MEMORY) * max(0.0, seconds - place.expected_s)
        self._length -= 1
        self._seconds = _MEMORY * self._seconds + seconds
        self._places = _MEMORY * self._places + place.number

    def _longest_wait_s(self) -> float:
        """For those in the line now, nearly always."""
        return self._expected_s(self._length) + _CAUTION * self._shortfall_s

    def _expected_s(self, places: int) -> float:
        return places * self._seconds / self._places if self._places else 0.0
