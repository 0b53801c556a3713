"""Online recall: a share of the live searches is repeated exactly in the background, to tell what the index misses.

A search is only noted. The noted ones are repeated, many in one pass over the collection, which gives way to searches that
somebody waits for. After each pass comes a rest of many times as long as the pass took.
"""

import random
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ml_api.deadline import Deadline
from ml_api.errors import DeadlineExceeded, Overloaded, Unavailable
from ml_api.metrics.search import Repeated, SearchMetrics
from ml_api.records import Hit
from ml_api.vectors.base import SearchOptions, VectorStore
from ml_api.vectors.filters import Filter
from ml_api.vectors.scoring import recall

K: Final = 10
"""The first hits are compared: recall@10 is measured."""
MAX_WAITING: Final = 64
"""Searches that wait to be repeated at most; the oldest are dropped."""
LOOK_EVERY_S: Final = 10.0
REST: Final = 50
"""The rest after a pass, as a multiple of its time: comparing takes 2 % of a core at most."""
PASS_S: Final = 10.0
"""A pass over the collection that takes longer is given up."""
SETTLED_S: Final = 20.0
"""A search is not compared if one of its images was indexed less than this before it, or later: it may not have been there."""


@dataclass(frozen=True, slots=True, eq=False)
class Noted:
    """A search and what it found. `vector` has shape (dim,)."""

    vector: npt.NDArray[np.float32]
    filter: Filter | None
    hits: Sequence[Hit]
    at: float
    """Seconds since the epoch."""


class OnlineRecall:
    """`note` is called by searches, from any thread; `look` again and again by one of its own."""

    def __init__(
        self,
        store: VectorStore,
        metrics: SearchMetrics,
        share: float,
        busy: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`share` of the searches are noted; what is noted while `busy` is dropped."""
        self._store = store
        self._metrics = metrics
        self._share = share
        self._busy = busy
        self._clock = clock
        self._waiting: deque[Noted] = deque()
        self._lock = threading.Lock()
        self._rests_until = 0.0
        self._chance = random.Random()  # noqa: S311 - a sample, no secret

    @property
    def is_exact(self) -> bool:
        """Whether plain searches compare every image anyway, so that there is nothing to measure."""
        return self._store.compares_all(SearchOptions(K))

    def note(self, vector: npt.NDArray[np.float32], options: SearchOptions, found: Sequence[Hit]) -> None:
        """What the store has found for `vector` (dim,) under these options."""
        if self._chance.random() >= self._share or options.offset or options.limit < K or self._store.compares_all(options):
            return
        self._keep(Noted(vector, options.filter, found[:K], time.time()))

    def _keep(self, noted: Noted) -> None:
        with self._lock:
            self._waiting.append(noted)
            dropped = len(self._waiting) - MAX_WAITING
            if dropped > 0:
                self._waiting.popleft()
        if dropped > 0:
            self._metrics.repeated(Repeated.DROPPED)

    def look(self) -> None:
        """Compare what waits, unless it is time to rest or the service is busy."""
        if self._clock() < self._rests_until:
            return
        with self._lock:
            noted, self._waiting = list(self._waiting), deque()
        together: dict[Filter | None, list[Noted]] = defaultdict(list)
        for one in noted:
            together[one.filter].append(one)
        for wanted, some in together.items():
            if self._busy():
                self._metrics.repeated(Repeated.DROPPED, len(some))
                continue
            started = self._clock()
            self._compare(wanted, some)
            ended = self._clock()
            self._rests_until = max(self._rests_until, ended) + REST * (ended - started)

    def _compare(self, wanted: Filter | None, noted: Sequence[Noted]) -> None:
        options = SearchOptions(K, exact=True, filter=wanted, gives_way=True)
        try:
            exact = self._store.search(np.stack([one.vector for one in noted]), options, Deadline.within(PASS_S))
        except Overloaded:
            self._metrics.repeated(Repeated.DROPPED, len(noted))
            return
        except (Unavailable, DeadlineExceeded):  # health checks tell of the store; a pass that takes too long is no error
            self._metrics.repeated(Repeated.FAILED, len(noted))
            return
        for one, best in zip(noted, exact, strict=True):
            if any(hit.record.indexed_at > one.at - SETTLED_S for hit in (*one.hits, *best)):
                self._metrics.repeated(Repeated.CHANGED)
            elif best:
                self._metrics.recalled(recall(one.hits, best))
