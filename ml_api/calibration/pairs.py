"""Queries with and without a match: each is searched for twice, among all images and among all but its own matches."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ml_api.records import Hit, Vectors
from ml_api.search.relevance import TOP_K, Calibration, Numbers, Reference, cosines, fitted
from ml_api.vectors.base import Metric, SearchOptions, VectorStore

AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Signals of queries, and of their best hits.

    `owner` (n,) says which query a row is of, so that no query is both fitted and judged. `weight` makes present and absent queries
    count alike.
    """

    queries: Numbers
    has_match: Numbers
    owner: Numbers
    hits: Numbers
    is_match: Numbers
    hit_owner: Numbers

    @property
    def weight(self) -> Numbers:
        return _even(self.has_match)

    def fit(self, reference: Reference, rows: Numbers | None = None) -> Calibration:
        """On all queries, or on those whose number in `rows` is true."""
        some = np.ones(len(self.owner), dtype=bool) if rows is None else rows[self.owner.astype(int)].astype(bool)
        of_hits = np.ones(len(self.hit_owner), dtype=bool) if rows is None else rows[self.hit_owner.astype(int)].astype(bool)
        return Calibration(
            reference,
            fitted(self.queries[some], self.has_match[some] > 0, _even(self.has_match[some])),
            fitted(self.hits[of_hits], self.is_match[of_hits] > 0, np.ones(int(of_hits.sum()))),
        )


def _even(labels: Numbers) -> Numbers:
    """Weights with which both labels count alike, and that are 1 in the mean."""
    positive = labels > 0
    share = positive.mean()
    if not 0 < share < 1:
        return np.ones(len(labels))
    weights: Numbers = np.where(positive, 0.5 / share, 0.5 / (1 - share))
    return weights


def pairs_of(  # noqa: PLR0913 - of what they are made
    store: VectorStore,
    metric: Metric,
    reference: Reference,
    vectors: Vectors,
    matches: Sequence[Collection[str]],
    *,
    themselves: Sequence[str] = (),
) -> Pairs:
    """Of queries with these vectors (n, dim) and the ids of their matches. One without matches is only absent. `themselves` are
    the ids of images that are queries, "" for others: no image answers itself.

    Raises Unavailable.
    """
    queries, has_match, owner = list[Numbers](), list[bool](), list[int]()
    hits, is_match, hit_owner = list[Numbers](), list[bool](), list[int]()
    in_order = sorted(range(len(matches)), key=lambda row: len(matches[row]))
    for start in range(0, len(in_order), AT_ONCE):
        rows = in_order[start : start + AT_ONCE]
        options = SearchOptions(TOP_K + 1 + max(len(matches[row]) for row in rows))
        for row, found in zip(rows, store.search(vectors[rows], options), strict=True):
            mine, itself = matches[row], themselves[row] if themselves else ""
            ranked = [hit for hit in found if hit.record.id != itself]
            absent = [hit for hit in ranked if hit.record.id not in mine][:TOP_K]
            for best, present in ((ranked[:TOP_K], True), (absent, False)) if mine else ((absent, False),):
                if not best:
                    continue
                images, scores = [hit.record for hit in best], cosines(best, metric)
                signals = reference.of_query(vectors[row], images, scores)
                queries.append(signals)
                has_match.append(present)
                owner.append(row)
                hits.append(reference.of_hits(signals, images, scores))
                is_match += _labels(best, mine)
                hit_owner += [row] * len(best)
    return Pairs(
        np.array(queries, dtype=np.float64),
        np.array(has_match, dtype=np.float64),
        np.array(owner, dtype=np.float64),
        np.concatenate(hits),
        np.array(is_match, dtype=np.float64),
        np.array(hit_owner, dtype=np.float64),
    )


def _labels(hits: Sequence[Hit], matches: Collection[str]) -> list[bool]:
    return [hit.record.id in matches for hit in hits]
