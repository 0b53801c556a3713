"""Limits how many images `ProcessDecoder` decodes at once, and how much memory they take together: a semaphore with a priority
queue.

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
"""The memory every image is allowed at first: enough for 10 megapixels in any mode, or a JPEG of 100 that is reduced while
decoded."""
_LEAST_SHARE_S: Final = 0.5
_DECAY: Final = 0.95
"""The weight of the past in the moving average of how long slots are held: about the last twenty images decide."""


@dataclass(eq=False, slots=True)
class Slot:
    """A place in the semaphore, held by one image or waited for."""

    size: int
    """Bytes of memory that may be allocated in it."""
    background: bool
    order: tuple[bool, bool, int]
    started: float = 0.0

    def __lt__(self, other: "Slot") -> bool:
        return self.order < other.order


class Slots:
    """The semaphore: at most `number` slots are held at once, with at most `memory_bytes` together."""

    def __init__(self, number: int, memory_bytes: int, time_s: float) -> None:
        self._number = number
        self._memory_bytes = memory_bytes
        self._time_s = time_s
        self._changed = threading.Condition()
        self._waiting: list[Slot] = []
        self._held: set[Slot] = set()
        self._arrivals = count()
        self._usual_s = 0.0

    def acquire(self, size: int, until: float, *, background: bool) -> Slot:
        """Wait for a slot until `until` (on the clock of `perf_counter`). The caller has to release it.

        Raises Overloaded: at once if, by how long slots are held on average, the turn would come too late.
        """
        slot = Slot(size, background, (background, size > SMALL_BYTES, next(self._arrivals)))
        with self._changed:
            insort(self._waiting, slot)
            left_s = max(0.0, until - perf_counter())
            hopeful = self._waiting.index(slot) * self._usual_s / self._number < left_s
            try:
                if not self._changed.wait_for(lambda: self._is_next(slot), left_s if hopeful else 0.0):
                    raise Overloaded(
                        "Too many images are being decoded; try again later, or send a smaller one.", reason="decoding"
                    )
                slot.started = perf_counter()
                self._held.add(slot)
            finally:
                self._waiting.remove(slot)
                self._changed.notify_all()
        return slot

    def release(self, slot: Slot) -> None:
        with self._changed:
            self._held.remove(slot)
            self._usual_s = _DECAY * self._usual_s + (1 - _DECAY) * (perf_counter() - slot.started)
            self._changed.notify_all()

    def share_s(self, slot: Slot) -> float:
        """Wall-clock seconds that an image may take now: all of `time_s`, or a fair share of it while other images of its priority,
        or a higher one, wait."""
        with self._changed:
            others = sum(waiting.background <= slot.background for waiting in self._waiting)
            if not others:
                return self._time_s
            return max(_LEAST_SHARE_S, self._time_s * self._number / (len(self._held) + others))

    def held_bytes(self) -> int:
        with self._changed:
            return sum(slot.size for slot in self._held)

    def _is_next(self, slot: Slot) -> bool:
        room = self._memory_bytes - sum(held.size for held in self._held)
        return self._waiting[0] is slot and len(self._held) < self._number and slot.size <= room
