"""The vectors of recent texts: people ask for the same things, and page through what they found.

The key is what the model would read, the token ids. So texts that the tokenizer reads alike share a vector, without a second
opinion on letter case, blanks and Unicode, and whether a text was cut is still told by its own tokenising. The cache lives and dies
with its model, so the model needs no place in the key.
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
    """An `Embedder` over another one, which it owns. Images go straight through: hardly anybody sends the same one twice."""

    def __init__(self, inner: Embedder, metrics: Metrics, *, entries: int) -> None:
        """Keeps the `entries` texts (at least 1) that were asked for last, each with a vector and its token ids."""
        self._inner = inner
        self._metrics = metrics
        self._vectors: LRUCache[bytes, npt.NDArray[np.float32]] = LRUCache(entries)
        self._lock = threading.Lock()
        """Guards the cache, which is not for threads: reading it changes the order."""

    @property
    def model(self) -> ModelInfo:
        return self._inner.model

    def embed_one(self, item: Prepared, timeout_s: float) -> Embedded:
        """As every Embedder does it; a text that is known took no time."""
        known = self._known(item)
        if known is not None:
            return known
        embedded = self._inner.embed_one(item, timeout_s)
        self._remember(item, embedded)
        return embedded

    def embed_all(self, items: Iterable[Prepared], timeout_s: float) -> list[Embedded | MlApiError]:
        answers = list[Embedded | MlApiError | None]()
        unknown = list[Prepared]()

        def not_known() -> Iterator[Prepared]:
            for item in items:
                answers.append(self._known(item))
                if answers[-1] is None:
                    unknown.append(item)
                    yield item

        embedded = self._inner.embed_all(not_known(), timeout_s)
        for item, answer in zip(unknown, embedded, strict=True):
            if isinstance(answer, Embedded):
                self._remember(item, answer)
        following = iter(embedded)
        return [next(following) if answer is None else answer for answer in answers]

    def _known(self, item: Prepared) -> Embedded | None:
        if item.modality != "text":
            return None
        with self._lock:
            known = self._vectors.get(item.features.tobytes())
        self._metrics.embedding.text_cache_requests.labels("miss" if known is None else "hit").inc()
        return None if known is None else Embedded(known, queue_s=0.0, embed_s=0.0, batch_size=0)

    def _remember(self, item: Prepared, embedded: Embedded) -> None:
        if item.modality != "text":
            return
        own = embedded.vector.copy()  # a row of a batch would keep the whole batch in memory
        own.setflags(write=False)  # it will be handed to many
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
