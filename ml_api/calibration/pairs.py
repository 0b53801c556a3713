"""Queries with and without a match: each is searched for twice, among all images and among all but its own matches."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ml_api.calibration.examples import Sampled
from ml_api.records import Vectors
from ml_api.search.logistic import LogisticRegression, Numbers, fitted
from ml_api.search.relevance import TOP_K, Calibration, Reference, cosines
from ml_api.vectors.base import MetricType, SearchOptions, VectorStore

AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Signals (n, signals) and what is true of each row. `owner` (n,) says which query a row is of, so that no query is both fitted
    and judged; `weight` (n,) is about 1 in the mean.
    """

    signals: Numbers
    labels: Numbers
    owner: npt.NDArray[np.int64]
    weight: Numbers

    def fit(self) -> LogisticRegression:
        return fitted(self.signals, self.labels > 0, self.weight)

    def some(self, chosen: npt.NDArray[np.bool_]) -> "Rows":
        """With the proportion of labels that all of them have."""
        labels, weight = self.labels[chosen], self.weight[chosen]
        for label in (0.0, 1.0):
            wanted = self.weight[self.labels == label].sum() * len(labels) / len(self.labels)
            weight[labels == label] *= wanted / max(weight[labels == label].sum(), 1e-9)
        return Rows(self.signals[chosen], labels, self.owner[chosen], weight)

    def __add__(self, others: "Rows") -> "Rows":
        """Of other queries than these."""
        owner = others.owner + self.owner.max(initial=-1) + 1
        return Rows(
            np.vstack([self.signals, others.signals]),
            np.concatenate([self.labels, others.labels]),
            np.concatenate([self.owner, owner]),
            np.concatenate([self.weight, others.weight]),
        )


class RowsInTheMaking:
    """Rows that are collected query by query."""

    def __init__(self) -> None:
        self._signals: list[Numbers] = []
        self._labels: list[bool] = []
        self._owners: list[int] = []

    def add(self, signals: Numbers, labels: Sequence[bool], owner: int) -> None:
        """Add rows with these signals (n, signals), which are all of one query."""
        self._signals.append(signals)
        self._labels += labels
        self._owners += [owner] * len(labels)

    def rows(self, weights_of: Callable[[Numbers], Numbers] = np.ones_like) -> Rows:
        """The rows, weighed by their labels; at least one must have been added."""
        labels = np.array(self._labels, dtype=np.float64)
        return Rows(np.concatenate(self._signals), labels, np.array(self._owners, dtype=np.int64), weights_of(labels))

    def __bool__(self) -> bool:
        return bool(self._labels)


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Queries, of which present and absent ones count alike, and their best hits."""

    queries: Rows
    hits: Rows

    def fit(self, reference: Reference, is_familiar: LogisticRegression | None) -> Calibration:
        return Calibration(reference, self.queries.fit(), self.hits.fit(), is_familiar)


def evenly(labels: Numbers) -> Numbers:
    """Weights with which both labels count alike, and whose mean is 1."""
    positive = labels > 0
    share = positive.mean()
    if not 0 < share < 1:
        return np.ones(len(labels))
    weights: Numbers = np.where(positive, 0.5 / share, 0.5 / (1 - share))
    return weights


def pairs_of(  # noqa: PLR0913 - of what they are made
    store: VectorStore,
    metric: MetricType,
    reference: Reference,
    vectors: Vectors,
    matches: Sequence[Collection[str]],
    *,
    asked_for: Sequence[Sampled | None] = (),
) -> Pairs:
    """The pairs of queries with these vectors (n, dim), whose matches have these ids. A query without matches is searched for once.
    `asked_for` are the images of queries that have one: no image answers itself.

    Raises Unavailable.
    """
    queries, hits = RowsInTheMaking(), RowsInTheMaking()
    in_order = sorted(range(len(matches)), key=lambda row: len(matches[row]))
    for start in range(0, len(in_order), AT_ONCE):
        rows = in_order[start : start + AT_ONCE]
        options = SearchOptions(TOP_K + 1 + max(len(matches[row]) for row in rows))
        for row, found in zip(rows, store.search(vectors[rows], options), strict=True):
            mine, image = matches[row], asked_for[row] if asked_for else None
            ranked = [hit for hit in found if image is None or hit.record.id != image.id]
            absent = [hit for hit in ranked if hit.record.id not in mine][:TOP_K]
            for best, present in ((ranked[:TOP_K], True), (absent, False)) if mine else ((absent, False),):
                if not best:
                    continue
                images, scores = [hit.record for hit in best], cosines(best, metric)
                signals = reference.of_query(vectors[row], images, scores, image.vector if image else None)
                queries.add(signals[None, :], [present], row)
                hits.add(reference.of_hits(signals, images, scores), [hit.record.id in mine for hit in best], row)
    return Pairs(queries.rows(evenly), hits.rows())
