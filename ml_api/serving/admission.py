"""Whether one more request can be answered soon, decided before any work is spent on it.

Under more load than it can carry, a service that lets everybody in answers everybody late, and those who gave up as well. Here the
line is only as long as it can be served in time; who comes on top is told so at once.
"""

from dataclasses import dataclass, field
from time import perf_counter

_MEMORY = 0.98
"""What the past counts for after one more answer: about the last fifty decide."""


@dataclass(frozen=True, slots=True)
class Place:
    """Of one request in the line: its number when it came, itself included, and when that was."""

    number: int
    since: float = field(default_factory=perf_counter)
    """On the clock of `perf_counter`."""


class Admission:
    """The requests that were let in and are not answered yet. For one thread.

    What a place in the line costs is learnt from those who left it: one who was the n-th and took t seconds says t / n. Batching,
    slow images and a busy machine are all in it, without a word about their causes. An empty line always lets in.
    """

    def __init__(self, limit: int, wait_s: float) -> None:
        """At most `limit` at once, and nobody who would have to wait longer than `wait_s` for those before."""
        self._limit = limit
        self._wait_s = wait_s
        self._length = 0
        self._seconds = 0.0
        self._places = 0.0

    def enter(self) -> Place | None:
        """A place, to be given back with `leave`; None if there is none to be had."""
        if self._length >= self._limit or self.expected_wait_s > self._wait_s:
            return None
        self._length += 1
        return Place(self._length)

    def leave(self, place: Place) -> None:
        self._length -= 1
        self._seconds = _MEMORY * self._seconds + perf_counter() - place.since
        self._places = _MEMORY * self._places + place.number

    @property
    def expected_wait_s(self) -> float:
        """How long those in the line will take."""
        return self._length * self._seconds / self._places if self._places else 0.0
