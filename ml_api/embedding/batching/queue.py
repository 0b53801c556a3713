"""Queues the inputs that wait for the model, for the threads of `BatchingEncoder`, and forms batches with little padding and few
small passes.

Each batch of a modality includes its oldest input, so nothing starves: an input with n older ones waits for at most n batches and
the pass that is running.

Concurrent passes share the cores, so two small ones take longer than one over all their inputs: while a pass runs, inputs of its
modality wait until there are enough of them for a pass beside it, or it ends.

Bulk work of syncs has a lane of its own with the lowest priority. While there are interactive inputs it is taken in short passes,
which leave a thread free if there are several; but it gets at least one pass a second.
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
"""How many of the oldest inputs are considered for a batch, so that choosing stays cheap however long the queue is."""
SHORT_S: Final = 0.05
"""Longest bulk pass while there are interactive inputs: one of them waits for it at most this long."""
LONG_S: Final = 0.25
"""Longest bulk pass while there are no interactive inputs: the throughput of longer ones would hardly be higher."""
QUIET_S: Final = 1.0
"""After this long without an interactive input, bulk passes become long."""
OWED_S: Final = 1.0
"""Bulk work that has waited this long is taken before interactive inputs: a sync goes on even if the model is never free."""


@dataclass(slots=True, eq=False)
class Waiting:
    """One input in the queue, with the deadline of its caller and the future of its vector."""

    item: Prepared
    deadline: float
    """On the clock of `perf_counter`."""
    since: float = field(default_factory=perf_counter)
    origins: tuple[tracing.Origin, ...] = field(default_factory=tracing.origins)
    answer: Future[Embedded] = field(default_factory=Future)

    def late(self) -> bool:
        return perf_counter() >= self.deadline

    def claim(self) -> bool:
        """Mark it as running. Returns False if it is not to be embedded, as its caller has given up or its deadline has passed."""
        return not self.late() and self.answer.set_running_or_notify_cancel()


class BatchQueue:
    """A queue that many threads fill and `takers` threads empty.

    `on_depth` is called with a lane and its length at every change, under the queue's lock.
    """

    def __init__(
        self,
        costs: Mapping[Modality, PassCost],
        on_depth: Callable[[Lane, int], None],
        takers: int = 1,
        clock: Callable[[], float] = perf_counter,
        elsewhere: Callable[[], float] = lambda: -inf,
    ) -> None:
        """`elsewhere` returns when the last interactive input of another model on the same cores arrived."""
        self._costs = costs
        self._on_depth = on_depth
        self._takers = takers
        self._clock = clock
        self._elsewhere = elsewhere
        self._queues: dict[Modality, deque[Waiting]] = {"text": deque(), "image": deque()}
        self._bulk: deque[Waiting] = deque()
        self._under_way: dict[int, Lane] = {}
        """The lane of the pass that each thread, by its id, is running."""
        self._owed_since = -inf
        self._came_at = -inf
        """When the last interactive input arrived."""
        self._changed = threading.Condition()
        self._idle = 0
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed

    def came_at(self) -> float:
        """When the last interactive input arrived, by this queue's clock."""
        return self._came_at

    def put(self, *inputs: Waiting) -> None:
        """Add interactive inputs in one step, so that an idle thread takes them together. Raises ModelUnavailable if closed."""
        with self._changed:
            if self._closed:
                raise ModelUnavailable("The model is not running.")
            for waiting in inputs:
                self._queues[waiting.item.modality].append(waiting)
            self._came_at = self._clock()
            for modality in {waiting.item.modality for waiting in inputs}:
                self._on_depth(modality, len(self._queues[modality]))
            self._changed.notify_all()

    def put_bulk(self, waiting: Sequence[Waiting]) -> None:
        """Add inputs of background work. Raises ModelUnavailable if closed."""
        with self._changed:
            if self._closed:
                raise ModelUnavailable("The model is not running.")
            if not self._bulk:
                self._owed_since = self._clock()
            self._bulk.extend(waiting)
            self._on_depth(BULK, len(self._bulk))
            self._changed.notify_all()

    def withdraw(self, waiting: Waiting) -> None:
        """Remove an interactive input that need not be embedded any more, if it is still in the queue."""
        modality = waiting.item.modality
        with self._changed:
            if waiting in self._queues[modality]:
                self._queues[modality].remove(waiting)
                self._on_depth(modality, len(self._queues[modality]))

    def take(self, most: Mapping[Modality, int]) -> list[Waiting]:
        """Wait for inputs, and claim the next batch: at most `most` of a modality. Empty when the queue is closed."""
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
        """How many inputs of the oldest one's size are enough for a pass beside a running one."""
        return min(most, self._costs[modality].least_beside(units(self._queues[modality][0].item)))

    def _take_oldest(self, ready: Sequence[Modality], most: Mapping[Modality, int]) -> list[Waiting]:
        modality = min(ready, key=lambda modality: self._queues[modality][0].since)
        queue, enough = self._queues[modality], self._enough(modality, most[modality])
        candidates = [queue.popleft() for _ in range(min(len(queue), _LOOK_AHEAD))]
        share = max(enough, ceil(len(candidates) / (1 + self._idle)))  # other idle threads have been woken, too, and take the rest
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
        """Take the first inputs of one modality, as many as fit into a pass of SHORT_S or LONG_S."""
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
        """Accept no more inputs, wake the threads in `take`, and return the inputs that still wait."""
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


def choose(inputs: Sequence[Waiting], cost: PassCost, most: int) -> list[Waiting]:
    """Choose a batch of at most `most`: the first input, and those for which padding costs less than a pass of their own.

    They are considered by their difference in length from the first, and at equal difference in order.
    """
    oldest = inputs[0]
    longest = own = units(oldest.item)
    room = min(most, cost.best_batch(own))
    batch = [oldest]
    for candidate in sorted(inputs[1:], key=lambda waiting: abs(units(waiting.item) - own)):
        if len(batch) >= room:
            break
        length = units(candidate.item)
        reach = max(longest, length)
        padding = (len(batch) + 1) * reach - len(batch) * longest - length
        if padding <= cost.spare_units:
            batch.append(candidate)
            longest = reach
    return batch
