"""Who may decode now: so many images at once, in so many bytes together.

Requests go before syncs, and small images before big ones, each in the order of arrival.
"""

import threading
from bisect import insort
from dataclasses import dataclass
from itertools import count
from time import perf_counter
from typing import Final

from ml_api.errors import Overloaded

SMALL_BYTES: Final = 128 * 2**20
"""What every image is allowed at first: 10 megapixels in any mode, a JPEG of 100 that is reduced while it is decoded."""
_LEAST_SHARE_S: Final = 0.5
_MEMORY: Final = 0.95
"""What the past counts for after one more image: about the last twenty decide how long one usually takes."""


@dataclass(eq=False, slots=True)
class Turn:
    """A place in use, or waited for."""

    size: int
    """Bytes of memory that may be allocated in it."""
    background: bool
    order: tuple[bool, bool, int]
    started: float = 0.0

    def __lt__(self, other: "Turn") -> bool:
        return self.order < other.order


class Places:
    def __init__(self, number: int, memory_bytes: int, time_s: float) -> None:
        self._number = number
        self._memory_bytes = memory_bytes
        self._time_s = time_s
        self._changed = threading.Condition()
        self._waiting: list[Turn] = []
        self._running: set[Turn] = set()
        self._arrivals = count()
        self._usual_s = 0.0

    def take(self, size: int, until: float, *, background: bool) -> Turn:
        """Wait for a place until then (on the clock of `perf_counter`). Give it back.

        Raises Overloaded: at once if the places would have to be given on too often until then, by how long they usually are held.
        """
        turn = Turn(size, background, (background, size > SMALL_BYTES, next(self._arrivals)))
        with self._changed:
            insort(self._waiting, turn)
            left_s = max(0.0, until - perf_counter())
            hopeful = self._waiting.index(turn) * self._usual_s / self._number < left_s
            try:
                if not self._changed.wait_for(lambda: self._is_next(turn), left_s if hopeful else 0.0):
                    raise Overloaded("Too many images are being decoded; try again later, or send a smaller one.")
                turn.started = perf_counter()
                self._running.add(turn)
            finally:
                self._waiting.remove(turn)
                self._changed.notify_all()
        return turn

    def give_back(self, turn: Turn) -> None:
        with self._changed:
            self._running.remove(turn)
            self._usual_s = _MEMORY * self._usual_s + (1 - _MEMORY) * (perf_counter() - turn.started)
            self._changed.notify_all()

    def share_s(self, turn: Turn) -> float:
        """How long an image may take now: all the time there is; a fair share of it while others wait whose turn is not later."""
        with self._changed:
            others = sum(waiting.background <= turn.background for waiting in self._waiting)
            if not others:
                return self._time_s
            return max(_LEAST_SHARE_S, self._time_s * self._number / (len(self._running) + others))

    def taken_bytes(self) -> int:
        with self._changed:
            return sum(turn.size for turn in self._running)

    def _is_next(self, turn: Turn) -> bool:
        room = self._memory_bytes - sum(running.size for running in self._running)
        return self._waiting[0] is turn and len(self._running) < self._number and turn.size <= room
