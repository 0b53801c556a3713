"""What waits for the model: in order of arrival, taken in batches that waste little, on padding and on passes of a few.

The oldest input of a modality is in every batch of it that is taken, so nothing starves: one with n older ones waits for n batches
at most, and the pass that is under way.

Passes at once share the cores, so that two of a few inputs take longer than one of all: while one is under way, those of its
modality that wait are left together until they are enough for a pass beside it, or it ends.

Bulk work, of syncs, waits in a lane behind all others. While there are others it is taken in short passes, which leave a taker
free where there are several; it is owed a pass a second all the same.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from math import ceil, inf
from time import perf_counter
from typing import Final, Literal

from ml_api import tracing
from ml_api.embedding.base import Embedded, Prepared
from ml_api.embedding.batching.costs import PassCost, units
from ml_api.errors import ModelUnavailable
from ml_api.vocabulary import Modality

Lane = Modality | Literal["bulk"]
BULK: Final = "bulk"
_LOOK_AHEAD: Final = 512
"""How many of the oldest are considered for a batch, so that choosing stays cheap however long the queue may get."""
SHORT_S: Final = 0.05
"""Longest bulk pass while others come: one of them waits for it at most so long."""
LONG_S: Final = 0.25
"""Longest bulk pass while nobody else comes: longer ones would hardly be faster."""
QUIET_S: Final = 1.0
"""Nobody else comes if nobody has for so long."""
OWED_S: Final = 1.0
"""After so long bulk work is taken before others: a sync goes on even if the model is never free."""


@dataclass(slots=True, eq=False)
class Waiting:
    """One input and the caller's wish to have it embedded in time."""

    item: Prepared
    deadline: float
    """On the clock of `perf_counter`."""
    since: float = field(default_factory=perf_counter)
    origins: tuple[tracing.Origin, ...] = field(default_factory=tracing.origins)
    answer: Future[Embedded] = field(default_factory=Future)

    def late(self) -> bool:
        return perf_counter() >= self.deadline

    def claim(self) -> bool:
        """Whether to embed this: its caller still waits and can still be answered in time."""
        return not self.late() and self.answer.set_running_or_notify_cancel()


class BatchQueue:
    """Filled by many threads, emptied by `takers`. `on_depth` hears of every change in a lane, under the queue's lock."""

    def __init__(
        self,
        costs: Mapping[Modality, PassCost],
        on_depth: Callable[[Lane, int], None],
        takers: int = 1,
        clock: Callable[[], float] = perf_counter,
        elsewhere: Callable[[], float] = lambda: -inf,
    ) -> None:
        """`elsewhere` tells when the last input came, that was not bulk, to another model on the same cores."""
        self._costs = costs
        self._on_depth = on_depth
        self._takers = takers
        self._clock = clock
        self._elsewhere = elsewhere
        self._queues: dict[Modality, deque[Waiting]] = {"text": deque(), "image": deque()}
        self._bulk: deque[Waiting] = deque()
        self._under_way: dict[int, Lane] = {}
        """What each thread has in the model."""
        self._owed_since = -inf
        self._came_at = -inf
        """When the last input came that was not bulk."""
        self._changed = threading.Condition()
        self._idle = 0
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed

    def came_at(self) -> float:
        """When the last input came that was not bulk, by this queue's clock."""
        return self._came_at

    def put(self, *waiting: Waiting) -> None:
        """In one step, so that an idle taker finds them all. Raises ModelUnavailable if it is closed."""
        with self._changed:
            if self._closed:
                raise ModelUnavailable("The model is not running.")
            for one in waiting:
                self._queues[one.item.modality].append(one)
            self._came_at = self._clock()
            for modality in {one.item.modality for one in waiting}:
                self._on_depth(modality, len(self._queues[modality]))
            self._changed.notify_all()

    def put_bulk(self, waiting: Sequence[Waiting]) -> None:
        """Raises ModelUnavailable if it is closed."""
        with self._changed:
            if self._closed:
                raise ModelUnavailable("The model is not running.")
            if not self._bulk:
                self._owed_since = self._clock()
            self._bulk.extend(waiting)
            self._on_depth(BULK, len(self._bulk))
            self._changed.notify_all()

    def withdraw(self, waiting: Waiting) -> None:
        """Free the place of one that need not be embedded any more, if it is still here."""
        modality = waiting.item.modality
        with self._changed:
            if waiting in self._queues[modality]:
                self._queues[modality].remove(waiting)
                self._on_depth(modality, len(self._queues[modality]))

    def take(self, most: Mapping[Modality, int]) -> list[Waiting]:
        """Wait for inputs, and claim those to embed next: the oldest and its best company. Empty when closed."""
        with self._changed:
            if self._under_way.pop(threading.get_ident(), None):  # its pass is over
                self._changed.notify_all()
            while not self._closed:
                batch: list[Waiting] = []
                if self._is_bulks_turn(others_wait=any(self._queues.values())):
                    batch = self._take_bulk(most)
                elif ready := [modality for modality in self._queues if self._is_ready(modality, most[modality])]:
                    batch = self._take_oldest(ready, most)
                else:
                    self._idle += 1
                    self._changed.wait()
                    self._idle -= 1
                if batch:
                    return batch
        return []

    def _is_ready(self, modality: Modality, most: int) -> bool:
        queue = self._queues[modality]
        return bool(queue) and (modality not in self._under_way.values() or len(queue) >= self._enough(modality, most))

    def _enough(self, modality: Modality, most: int) -> int:
        """How many such as the oldest are worth a pass beside another."""
        return min(most, self._costs[modality].least_beside(units(self._queues[modality][0].item)))

    def _take_oldest(self, ready: Sequence[Modality], most: Mapping[Modality, int]) -> list[Waiting]:
        modality = min(ready, key=lambda modality: self._queues[modality][0].since)
        queue, enough = self._queues[modality], self._enough(modality, most[modality])
        candidates = [queue.popleft() for _ in range(min(len(queue), _LOOK_AHEAD))]
        share = max(enough, ceil(len(candidates) / (1 + self._idle)))  # the others are on their way, woken as this one was
        chosen = choose(candidates, self._costs[modality], min(share, most[modality]))
        queue.extendleft(reversed([waiting for waiting in candidates if waiting not in chosen]))
        self._on_depth(modality, len(queue))
        batch = [waiting for waiting in chosen if waiting.claim()]
        if batch:
            self._under_way[threading.get_ident()] = modality
        return batch

    def _is_bulks_turn(self, *, others_wait: bool) -> bool:
        if not self._bulk or (others_wait and self._clock() - self._owed_since < OWED_S):
            return False
        return self._is_quiet() or list(self._under_way.values()).count(BULK) < max(1, self._takers - 1)

    def _is_quiet(self) -> bool:
        return self._clock() - max(self._came_at, self._elsewhere()) > QUIET_S

    def _take_bulk(self, most: Mapping[Modality, int]) -> list[Waiting]:
        """The first of one modality, as many as a pass of the right length holds."""
        modality = self._bulk[0].item.modality
        cost, pass_s = self._costs[modality], LONG_S if self._is_quiet() else SHORT_S
        room = min(most[modality], max(1, int((pass_s - cost.fixed_s) / (cost.per_unit_s * units(self._bulk[0].item)))))
        batch: list[Waiting] = []
        while self._bulk and len(batch) < room and self._bulk[0].item.modality == modality:
            if (waiting := self._bulk.popleft()).claim():
                batch.append(waiting)
        self._on_depth(BULK, len(self._bulk))
        if batch:
            self._under_way[threading.get_ident()] = BULK
            self._owed_since = self._clock()
        return batch

    def close(self) -> list[Waiting]:
        """Take no more, wake `take`, and hand over what is still waiting."""
        with self._changed:
            self._closed = True
            left = [waiting for queue in (*self._queues.values(), self._bulk) for waiting in queue]
            self._bulk.clear()
            self._on_depth(BULK, 0)
            for modality, queue in self._queues.items():
                queue.clear()
                self._on_depth(modality, 0)
            self._changed.notify_all()
        return left


def choose(waiting: Sequence[Waiting], cost: PassCost, most: int) -> list[Waiting]:
    """The first, and whose padding beside it costs less than a pass of their own: nearest in length first, then oldest first."""
    oldest = waiting[0]
    longest = own = units(oldest.item)
    room = min(most, cost.best_batch(own))
    batch = [oldest]
    for one in sorted(waiting[1:], key=lambda other: abs(units(other.item) - own)):
        if len(batch) >= room:
            break
        length = units(one.item)
        reach = max(longest, length)
        padding = (len(batch) + 1) * reach - len(batch) * longest - length
        if padding <= cost.spare_units:
            batch.append(one)
            longest = reach
    return batch
