"""Computes the scores of vectors by metric, converts them to cosines, keeps the best of many, and measures recall."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from ml_api.records import Hit, Vectors
from ml_api.vectors.base import MetricType

TIE: Final = 1e-5
"""A hit whose score is this close to the last one of the exact answer counts as found: the order of equal scores is arbitrary."""

Scores = npt.NDArray[np.float32]
"""Shape (queries, stored); higher is closer for every metric."""
Lengths = npt.NDArray[np.float32]
"""Shape (n,): the L2 norms of n vectors."""


def scores(metric: MetricType, queries: Vectors, stored: Vectors, of_stored: Lengths | None = None) -> Scores:
    """Return the score of each query with each stored vector (see `VectorStore.search`). `of_stored` are the `lengths` of `stored`,
    if they are known.
    """
    if metric == "L2":
        return np.stack([-np.square(stored - query).sum(axis=1) for query in queries])
    products = np.asarray(queries @ stored.T, dtype=np.float32)
    if metric == "COSINE":  # products are divided, so that the stored vectors are not copied
        products /= lengths(queries)[:, None]
        products /= lengths(stored) if of_stored is None else of_stored
    return products


def cosine_of(score: float, metric: MetricType) -> float:
    """The cosine similarity of two vectors of length 1 that have this score."""
    return 1 + score / 2 if metric == "L2" else score


def score_of(cosine: float, metric: MetricType) -> float:
    """The score of two vectors of length 1 with this cosine similarity."""
    return 2 * cosine - 2 if metric == "L2" else cosine


class Best:
    """Keeps the `most` highest scores of each query, with their ids, of any number that is added."""

    def __init__(self, queries: int, most: int) -> None:
        self._most = most
        self._scores = np.empty((queries, 0), dtype=np.float32)
        self._ids = np.empty((queries, 0), dtype="U32")

    def add(self, ids: Sequence[str], found: Scores) -> None:
        """Add the scores (queries, ids) of further vectors. Of equal scores, those added first are kept."""
        together = np.concatenate([self._scores, found], axis=1)
        named = np.concatenate([self._ids, np.broadcast_to(np.array(ids, dtype="U32"), found.shape)], axis=1)
        order = np.argsort(-together, axis=1, kind="stable")[:, : self._most]
        self._scores = np.take_along_axis(together, order, axis=1)
        self._ids = np.take_along_axis(named, order, axis=1)

    def ranked(self, offset: int = 0) -> list[list[tuple[str, float]]]:
        """For each query the ids with their scores, best first, without the `offset` best."""
        rows = zip(self._ids[:, offset:].tolist(), self._scores[:, offset:].tolist(), strict=True)
        return [list(zip(ids, values, strict=True)) for ids, values in rows]


def recall(found: Sequence[Hit], exact: Sequence[Hit]) -> float:
    """The share of `exact`, the hits of an exact search, of which there is at least one, that `found` has."""
    least = exact[-1].score - TIE
    return min(1.0, sum(hit.score >= least for hit in found) / len(exact))


def lengths(vectors: Vectors) -> Lengths:
    """The length of each vector; 1 for a vector of zeros, so that its scores are 0."""
    norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float32))
    return np.where(norms == 0, np.float32(1), norms)
