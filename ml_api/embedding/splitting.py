"""A batch that the model fails on is tried again in parts: one bad input, or too little memory, costs time and not answers."""

import logging
from collections.abc import Iterator, Sequence
from typing import Final, Generic, TypeVar

import numpy as np

from ml_api.embedding.base import Encoder, Prepared
from ml_api.errors import MlApiError, ModelOutOfMemory
from ml_api.records import Vectors

_PATIENCE: Final = 100
"""Passes at the ceiling that have to fit before it rises by one again: an hour of trouble must not come back every second."""

Item = TypeVar("Item")

_log = logging.getLogger(__name__)


class Ceiling:
    """The most inputs that fit into memory in one pass: halved when it runs out, and let up slowly.

    Threads may share it: a count that one loses to another only lets it up later.
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
        """A batch of `size` did fit. Only those that reach the ceiling say anything about it."""
        if size < self.now or self.now == self._most:
            return
        self._fitted += 1
        if self._fitted >= _PATIENCE:
            self.now += 1
            self._fitted = 0


class Parts(Generic[Item]):
    """Iterates over a batch in order, in parts that fit below `ceiling`; a part that is split comes again in halves.

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
        """Whether `part`, on which the model failed, comes again in halves: not if it is a single item."""
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
    """Several callers' inputs in one pass; if it fails, by halves, so that one bad input costs others time, not their answers."""
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
