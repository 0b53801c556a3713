"""Whether the parts that a search needs work: tried for whoever asks, and in the background for the metrics."""

from collections.abc import Callable
from typing import Final

import numpy as np

from ml_api.deadline import Deadline
from ml_api.embedding.base import Embedder
from ml_api.errors import MlApiError
from ml_api.metrics import Metrics
from ml_api.vectors.base import VectorStore

TIMEOUT_S: Final = 5.0
"""Longest wait for one part."""


class Health:
    def __init__(self, embedder: Embedder, store: VectorStore, collection: str, metrics: Metrics) -> None:
        self._embedder = embedder
        self._store = store
        self._collection = collection
        self._metrics = metrics

    def readiness(self) -> dict[str, str]:
        """`ok` for each part that a search needs, or why it does not work. Runs a real embedding and a real search."""
        states = {"model": _state(self._try_model), "store": _state(self._try_store)}
        for part, state in states.items():
            self._metrics.process.ready.labels(part).set(state == "ok")
        return states

    def look(self) -> None:
        """Renew what the metrics say of readiness and of the collection."""
        self.readiness()
        counted = _state(self._count)
        self._metrics.store.up.labels(self._collection).set(counted == "ok")

    def _try_model(self) -> None:
        self._embedder.embed_one(self._embedder.prepare_text("ready?"), timeout_s=TIMEOUT_S)

    def _try_store(self) -> None:
        self._store.ping()
        anything = np.eye(1, self._embedder.model.dim, dtype=np.float32)
        self._store.search(anything, limit=1, deadline=Deadline.within(TIMEOUT_S))

    def _count(self) -> None:
        self._metrics.store.entities.labels(self._collection).set(self._store.count(Deadline.within(TIMEOUT_S)))


def _state(attempt: Callable[[], None]) -> str:
    try:
        attempt()
    except MlApiError as exc:
        return exc.detail
    return "ok"
