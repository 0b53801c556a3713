"""For whoever makes batches of its own, as a sync does: they go through the model in as many passes as memory asks for."""

import logging
from collections.abc import Sequence

import numpy as np

from ml_api.embedding.base import OUT_OF_MEMORY, Encoder, Prepared
from ml_api.embedding.batching.sizing import MAX_BATCH, Ceiling
from ml_api.embedding.wrapper import Wrapper
from ml_api.errors import ModelUnavailable
from ml_api.records import Vectors

_log = logging.getLogger(__name__)


class FittingEncoder(Wrapper[Encoder]):
    """An `Encoder` over another: out of memory costs a failed pass, not the batch."""

    def __init__(self, inner: Encoder) -> None:
        super().__init__(inner)
        self._ceiling = Ceiling(MAX_BATCH)

    @property
    def concurrency(self) -> int:
        return self._inner.concurrency

    def embed(self, items: Sequence[Prepared]) -> Vectors:
        """Raises ModelUnavailable, for memory only if a single item does not fit."""
        done: list[Vectors] = []
        start = 0
        while start < len(items):
            part = items[start : start + self._ceiling.now]
            try:
                done.append(self._inner.embed(part))
            except ModelUnavailable as exc:
                if len(part) == 1 or exc.slug != OUT_OF_MEMORY:
                    raise
                self._ceiling.ran_out(len(part))
                _log.warning("out of memory on %d inputs; batches of %d from now on", len(part), self._ceiling.now)
            else:
                self._ceiling.fitted(len(part))
                start += len(part)
        return np.concatenate(done)
