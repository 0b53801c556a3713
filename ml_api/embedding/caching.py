"""Caches the vectors of recent text queries, which people repeat, and page through.

The key is what the model reads, the token ids. So texts that the tokenizer reads alike share a vector, without a second rule for
letter case, blanks and Unicode, and `truncated` is still each text's own. Each model has its own cache, so the model is not in the
key.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from cachetools import LRUCache

from ml_api.embedding.base import Embedded, Embedder, Prepared
from ml_api.errors import MlApiError
from ml_api.metrics import Metrics
from ml_api.records import ModelInfo, Vectors


class CachingEmbedder:
    """An `Embedder` over another one, which it owns. Images are not cached: hardly anybody sends the same one twice."""

    def __init__(self, inner: Embedder, metrics: Metrics, *, entries: int) -> None:
        """Cache the vectors of the `entries` most recently used texts (at least 1)."""
        self._inner = inner
        self._metrics = metrics
        self._vectors: LRUCache[bytes, npt.NDArray[np.float32]] = LRUCache(entries)
        self._lock = threading.Lock()
        """Guards the cache, which is not thread-safe: reading changes its order."""

    @property
    def model(self) -> ModelInfo:
        return self._inner.model

    def embed_one(self, item: Prepared, timeout_s: float) -> Embedded:
        """See `Embedder.embed_one`. A cached vector has no queue and embedding time, and the batch size 0."""
        cached = self._cached(item)
        if cached is not None:
            return cached
        embedded = self._inner.embed_one(item, timeout_s)
        self._remember(item, embedded)
        return embedded

    def embed_all(self, items: Iterable[Prepared], timeout_s: float) -> list[Embedded | MlApiError]:
        answers = list[Embedded | MlApiError | None]()
        misses = list[Prepared]()

        def uncached() -> Iterator[Prepared]:
            for item in items:
                answers.append(self._cached(item))
                if answers[-1] is None:
                    misses.append(item)
                    yield item

        embedded = self._inner.embed_all(uncached(), timeout_s)
        for item, answer in zip(misses, embedded, strict=True):
            if isinstance(answer, Embedded):
                self._remember(item, answer)
        following = iter(embedded)
        return [next(following) if answer is None else answer for answer in answers]

    def _cached(self, item: Prepared) -> Embedded | None:
        if item.modality != "text":
            return None
        with self._lock:
            vector = self._vectors.get(item.features.tobytes())
        self._metrics.embedding.text_cache_requests.labels("miss" if vector is None else "hit").inc()
        return None if vector is None else Embedded(vector, queue_s=0.0, embed_s=0.0, batch_size=0)

    def _remember(self, item: Prepared, embedded: Embedded) -> None:
        if item.modality != "text":
            return
        own = embedded.vector.copy()  # a row of a batch would keep the whole batch in memory
        own.setflags(write=False)  # many callers will share it
        with self._lock:
            self._vectors[item.features.tobytes()] = own

    @property
    def concurrency(self) -> int:
        return self._inner.concurrency

    def embed_bulk(self, items: Sequence[Prepared]) -> Vectors:
        return self._inner.embed_bulk(items)

    def ping(self) -> None:
        self._inner.ping()

    def close(self) -> None:
        self._inner.close()
