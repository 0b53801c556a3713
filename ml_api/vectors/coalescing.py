"""Coalesces searches: those that arrive while the store is busy share its next call; a search that finds it idle is sent at once.

A single search runs in its caller's thread. A shared call runs in a thread of this store, so that each of its callers can leave at
its own deadline. Only searches with equal options (a lane) share a call, which has the same options: a search for many hits does
not slow other lanes, and a result never depends on other callers. A call that fails raises in each of its callers.
"""

import copy
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from ml_api import tracing
from ml_api.deadline import Deadline
from ml_api.errors import MlApiError
from ml_api.metrics import Metrics
from ml_api.records import Hit, Vectors
from ml_api.vectors.base import SearchOptions, VectorStore
from ml_api.vectors.validation import check_vectors
from ml_api.vectors.wrapper import StoreWrapper

MAX_TOGETHER: Final = 64
"""Most searches in one call."""

MAX_HITS: Final = 768
"""Most hits that a call of several searches may return. Milvus limits a message to 64 MiB, which 900 hits with the longest keys and
the largest metadata fill."""

REJOIN_S: Final = 0.002
"""How long a shared call waits for as many searches as in the one before: under load, callers that were just answered search again
at once, and would otherwise always be split over two calls. A search that finds its lane idle never waits."""

LANES: Final = 32
"""Most concurrent shared calls, each with other options."""


@dataclass(slots=True, eq=False)
class _Waiting:
    vector: npt.NDArray[np.float32]
    deadline: Deadline
    origins: tuple[tracing.Origin, ...] = field(default_factory=tracing.origins)
    answer: Future[list[Hit]] = field(default_factory=Future)

    def claim(self) -> bool:
        """Mark it as part of a call. Returns False if its caller has left or its deadline has passed."""
        return not self.deadline.passed and self.answer.set_running_or_notify_cancel()


class CoalescingStore(StoreWrapper):
    """A VectorStore over another one, which it owns. Searches of one vector share calls; all other calls are passed on."""

    def __init__(self, inner: VectorStore, metrics: Metrics, *, timeout_s: float) -> None:
        """`timeout_s` is the deadline of searches without one. Admission limits how many searches wait."""
        super().__init__(inner)
        self._metrics = metrics
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._joined = threading.Condition(self._lock)
        self._lanes: dict[SearchOptions, deque[_Waiting]] = {}
        """The searches that wait, by the options of the running call. A lane that is absent is idle."""
        self._dim = 0
        self._threads: ThreadPoolExecutor | None = None

    def ensure(self, model_id: str, dim: int) -> None:
        self._inner.ensure(model_id, dim)
        with self._lock:
            self._dim = dim
            self._threads = self._threads or ThreadPoolExecutor(LANES, "search")

    def search(self, vectors: Vectors, options: SearchOptions, deadline: Deadline | None = None) -> list[list[Hit]]:
        """See `VectorStore.search`."""
        if len(vectors) != 1 or self._threads is None:
            room = _room(options)  # the limit of a message also holds for the searches of one caller
            parts = [vectors[start : start + room] for start in range(0, len(vectors), room)] or [vectors]
            return [hits for part in parts for hits in self._inner.search(part, options, deadline)]
        check_vectors(vectors, self._dim)  # checked here, as the store's refusal would fail the whole call
        deadline = deadline or Deadline.within(self._timeout_s)
        waiting = self._join(options, _Waiting(vectors[0], deadline))
        if waiting is None:
            try:
                self._metrics.search.batch_size.observe(1)
                return self._inner.search(vectors, options, deadline)
            finally:
                self._serve_queued(options)
        try:
            return [waiting.answer.result(deadline.left_s())]
        except TimeoutError:
            raise deadline.exceeded() from None
        finally:
            self._leave(options, waiting)

    def _join(self, options: SearchOptions, waiting: _Waiting) -> _Waiting | None:
        """Queue a search in the lane of `options`. Returns None if the lane was idle: the caller searches itself, and then calls
        `_serve_queued`."""
        with self._lock:
            if options not in self._lanes:
                self._lanes[options] = deque()
                return None
            self._lanes[options].append(waiting)
            self._joined.notify_all()
            return waiting

    def _serve_queued(self, options: SearchOptions) -> None:
        """Serve the searches that were queued meanwhile, or mark the lane as idle."""
        with self._lock:
            if not self._lanes.get(options):
                self._lanes.pop(options, None)
                return
            if self._threads is not None:
                # If no thread can be started, the searches are served here. The pool keeps the job all the same, for a thread that
                # it may have: a lane can be served by two threads at once, and be gone for the second.
                with suppress(RuntimeError):
                    self._threads.submit(self._serve, options)
                    return
        self._serve(options)  # if it was closed meanwhile, the store raises at once

    def _leave(self, options: SearchOptions, waiting: _Waiting) -> None:
        """Remove the search of a caller that gave up from its lane."""
        if waiting.answer.done() or not waiting.answer.cancel():
            return
        with self._lock:
            if waiting in self._lanes.get(options, ()):
                self._lanes[options].remove(waiting)

    def _serve(self, options: SearchOptions) -> None:
        """Call the store until no search waits in this lane."""
        before = 0
        while batch := self._next(options, before):
            self._answer(options, batch)
            before = len(batch)

    def _next(self, options: SearchOptions, before: int) -> list[_Waiting]:
        """The searches of the next call, after a call of `before` searches. Empty, and the lane idle, if there are none."""
        with self._lock:
            lane, batch = self._lanes.get(options, deque[_Waiting]()), list[_Waiting]()
            if before and lane:
                self._joined.wait_for(lambda: len(lane) >= before, REJOIN_S)
            while lane and len(batch) < _room(options):
                waiting = lane.popleft()
                if waiting.claim():
                    batch.append(waiting)
            if not batch and self._lanes.get(options) is lane:
                del self._lanes[options]
            return batch

    def _answer(self, options: SearchOptions, batch: Sequence[_Waiting]) -> None:
        """Search for a batch in one call, and answer each of its callers."""
        self._metrics.search.batch_size.observe(len(batch))
        latest = max(waiting.deadline for waiting in batch)
        try:
            vectors = np.stack([waiting.vector for waiting in batch])
            with tracing.on_behalf_of(origin for waiting in batch for origin in waiting.origins):
                answers = list(zip(batch, self._inner.search(vectors, options, latest), strict=True))
        except BaseException as exc:  # noqa: BLE001 - whatever it is, no caller may wait for ever
            for waiting in batch:
                waiting.answer.set_exception(_own(exc))
            return
        for waiting, hits in answers:
            waiting.answer.set_result(hits)

    def close(self) -> None:
        """Close the inner store, so that searches that still wait raise StoreUnavailable."""
        with self._lock:
            threads, self._threads = self._threads, None
        self._inner.close()
        if threads is not None:
            threads.shutdown()


def _room(options: SearchOptions) -> int:
    """How many searches with these options fit in a call."""
    return max(1, min(MAX_TOGETHER, MAX_HITS // options.limit))


def _own(exc: BaseException) -> BaseException:
    """A copy of the exception for one caller: raising one object in several threads would mix their tracebacks."""
    if not isinstance(exc, MlApiError):
        return exc
    own = copy.copy(exc)
    own.__cause__ = exc
    return own
