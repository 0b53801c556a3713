"""Health checks of the model and the store, for `/readyz` and, in the background, for the metrics."""

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from time import perf_counter
from typing import Final

from ml_api.deadline import Deadline
from ml_api.embedding.base import Embedder, Preprocessor
from ml_api.errors import MlApiError
from ml_api.metrics import Metrics
from ml_api.vectors.base import VectorStore

TIMEOUT_S: Final = 4.5
"""Time limit for all parts together, so that `/readyz` is answered within five seconds."""
CLOSED: Final = "is closed"
"""The state of parts whose checks are closed: of a model that another has just replaced."""


class Health:
    """Checks each part in a thread of its own. Simultaneous callers share one check."""

    def __init__(  # noqa: PLR0913 - the parts that a search needs, and where to tell of them
        self,
        preprocessor: Preprocessor,
        embedder: Embedder,
        store: VectorStore,
        collection: str,
        metrics: Metrics,
        *,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._preprocessor = preprocessor
        self._embedder = embedder
        self._store = store
        self._collection = collection
        self._metrics = metrics
        self._timeout_s = timeout_s
        self._model = _Check("model", self._try_model, timeout_s)
        self._stored = _Check("store", self._try_store, timeout_s)

    def readiness(self) -> dict[str, str]:
        """For each part, `ok` or why it does not work. Runs a real embedding and a real search."""
        deadline = Deadline.within(self._timeout_s)
        checks = (self._model, self._stored)
        for check in checks:
            check.begin()
        states = {check.part: check.state(deadline) for check in checks}
        for part, state in states.items():
            self._metrics.process.ready.labels(part).set(state == "ok")
        return states

    def update_metrics(self) -> None:
        """Update the metrics of readiness and of the collection."""
        self.readiness()
        counted = _state(self._count)
        self._metrics.store.up.labels(self._collection).set(counted == "ok")

    def close(self) -> None:
        """A running check is not waited for."""
        self._model.close()
        self._stored.close()

    def _try_model(self) -> None:
        self._embedder.embed_one(self._preprocessor.prepare_text("ready?"), timeout_s=self._timeout_s)

    def _try_store(self) -> None:
        self._store.ping()

    def _count(self) -> None:
        self._metrics.store.entities.labels(self._collection).set(self._store.count(Deadline.within(self._timeout_s)))


class _Check:
    """The check of one part, at most one at a time."""

    def __init__(self, part: str, attempt: Callable[[], None], timeout_s: float) -> None:
        self.part = part
        self._attempt = attempt
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1, f"check-{part}")
        self._now: Future[str] | None = None
        self._since = 0.0
        self._is_closed = False

    def begin(self) -> None:
        with self._lock:
            if self._now is None or self._now.done():
                self._now = None if self._is_closed else self._thread.submit(_state, self._attempt)
                self._since = perf_counter()

    def state(self, deadline: Deadline) -> str:
        """The result of the check that was begun; a check over its time limit has failed."""
        with self._lock:
            now, since = self._now, self._since
        if now is None:
            return CLOSED
        until = min(deadline.at, since + self._timeout_s)
        try:
            return now.result(max(0.0, until - perf_counter()))
        except TimeoutError:
            return f"did not answer within {self._timeout_s:g} s"
        except CancelledError:  # it was closed before its thread began
            return CLOSED

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
        self._thread.shutdown(wait=False, cancel_futures=True)


def _state(attempt: Callable[[], None]) -> str:
    try:
        attempt()
    except MlApiError as exc:
        return exc.detail
    return "ok"
