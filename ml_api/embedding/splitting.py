"""Splits a batch that the model failed on, so that its parts are tried again: one bad input, or too little memory, costs time, not
the answers of the others. Used by `BatchingEncoder` and, on Triton, by `serving`."""

import logging
from collections.abc import Iterator, Sequence
from typing import Final, Generic, TypeVar

import numpy as np

from ml_api.embedding.base import Encoder, Prepared
from ml_api.errors import MlApiError, ModelOutOfMemory
from ml_api.records import Vectors

_PATIENCE: Final = 100
"""Passes at the ceiling that have to succeed before it rises by one, so that memory does not run out again every second."""

Item = TypeVar("Item")

_log = logging.getLogger(__name__)


class Ceiling:
    """The most inputs that fit into memory in one pass: halved when memory runs out, and raised slowly.

    Threads may share it without a lock: a lost update of its count only raises it later.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._fitted = 0
        self.now = most

    def ran_out(self, size: int) -> None:
        """A batch of `size` did not fit."""
        self.now = max(1, min(self.now, size // 2))
        self._fitted = 0

    def fitted(self, size: int) -> None:
        """A batch of `size` fitted. It counts only if it reached the ceiling."""
        if size < self.now or self.now == self._most:
            return
        self._fitted += 1
        if self._fitted >= _PATIENCE:
            self.now += 1
            self._fitted = 0


class Parts(Generic[Item]):
    """Iterates over a batch in order, in parts of at most `ceiling.now` items; a part that is split is yielded again in halves.

    Call `split` in the `except` block, and iterate on after it: until the block ends, the traceback holds the failed pass's memory.
    """

    def __init__(self, batch: Sequence[Item], ceiling: Ceiling | None = None) -> None:
        self._ceiling = ceiling or Ceiling(len(batch))
        self._left = [batch]

    def __iter__(self) -> Iterator[Sequence[Item]]:
        while self._left:
            part = self._left.pop()
            if len(part) > self._ceiling.now:
                self._put_back(part, self._ceiling.now)
            elif part:
                yield part

    def split(self, part: Sequence[Item], error: Exception) -> bool:
        """Put `part`, on which the model failed, back in halves. Returns False for a single item, which cannot be split."""
        if len(part) == 1:
            return False
        if isinstance(error, ModelOutOfMemory):
            self._ceiling.ran_out(len(part))
            _log.warning("out of memory on a batch of %d; trying %d at once", len(part), self._ceiling.now)
        self._put_back(part, len(part) // 2)
        return True

    def _put_back(self, part: Sequence[Item], first: int) -> None:
        self._left += [part[first:], part[:first]]


def embed_apart(encoder: Encoder, batches: Sequence[Sequence[Prepared]]) -> list[Vectors | MlApiError]:
    """Embed the inputs of several callers in one pass, or by halves if it fails; return vectors or an error for each of
    `batches`."""
    outcomes: list[Vectors | MlApiError] = []
    parts = Parts(batches)
    for part in parts:
        try:
            vectors = encoder.embed([item for batch in part for item in batch])
        except MlApiError as exc:
            if not parts.split(part, exc):
                outcomes.append(exc)
        else:
            outcomes += np.split(vectors, np.cumsum([len(batch) for batch in part])[:-1])
    return outcomes
