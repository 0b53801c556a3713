"""What people judged, beside the corpus's own pairs: never more than these, and only where it helps.

Whoever may search may judge, so that verdicts may be careless or hostile. Each text counts as little as a query of the corpus, all
together as half of them; right and wrong ones count in the proportion that the corpus has them in. Verdicts are used only if a fit
with some of them foretells the others better than one without, and is not worse at the corpus's own pairs: whoever contradicts the
corpus is not followed, however many he is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ml_api.calibration.measuring import held_out
from ml_api.calibration.pairs import AT_ONCE, Pairs, Rows, RowsInTheMaking
from ml_api.feedback import Verdicts, judged_texts
from ml_api.records import Hit, Vectors
from ml_api.search.logistic import Numbers
from ml_api.search.relevance import TOP_K, Reference, cosines
from ml_api.vectors.base import MetricType, SearchOptions, VectorStore
from ml_api.vocabulary import GRADES, Verdict

MAX_VERDICTS: Final = 10_000
"""Verdicts that are read, the last ones."""
MAX_TEXTS: Final = 400
FEWEST_TEXTS: Final = 20
FIRST: Final = 3
"""Best hits, all called irrelevant, that tell that a text has no match."""
SHARE: Final = 0.5
"""Of the weight of the corpus's own rows that verdicts have together, at most."""
TOLERANCE: Final = 0.02
"""Share by which the log loss over the corpus's own pairs may grow: so much do folds differ by chance."""
NEARLY: Final = 1e-3
RELEVANT: Final = GRADES[Verdict.RELEVANT]
IRRELEVANT: Final = GRADES[Verdict.IRRELEVANT]

Grades = Mapping[str, int]
"""Of images, by id."""


def texts_of(verdicts: Verdicts) -> dict[str, dict[str, int]]:
    """The grades of images, by the text of the search. Raises DatabaseUnavailable."""
    found = judged_texts(verdicts.latest(MAX_VERDICTS))
    return dict(list(found.items())[-MAX_TEXTS:])


@dataclass(frozen=True, slots=True)
class Learned:
    """What to fit, and of how many judged texts it has verdicts."""

    pairs: Pairs
    probabilities: Numbers
    """Of the corpus's own queries, each by a fit without it."""
    texts: int


def learned(own: Pairs, given: Pairs | None) -> Learned:
    """From the corpus's own pairs, and from verdicts where they help."""
    if given is None:
        return Learned(own, held_out(own.queries), 0)
    queries, hits = _chosen(own.queries, given.queries), _chosen(own.hits, given.hits)
    return Learned(Pairs(queries.rows, hits.rows), queries.probabilities, max(queries.texts, hits.texts))


@dataclass(frozen=True, slots=True)
class _Choice:
    """Which rows to fit."""

    rows: Rows
    probabilities: Numbers
    """Of the corpus's own rows, each by a fit without its query."""
    texts: int = 0
    """Judged texts that the rows are of, too."""


def _chosen(own: Rows, given: Rows) -> _Choice:
    """Both, if that is better than the own ones alone."""
    without, weight = _Choice(own, held_out(own)), _beside(own, given.labels)
    texts = len(np.unique(given.owner[weight > 0]))
    if texts < FEWEST_TEXTS:
        return without
    given = Rows(given.signals, given.labels, given.owner, weight)
    both, ours = own + given, len(own.labels)
    after = held_out(both)
    is_sound = _loss(own, after[:ours]) <= (1 + TOLERANCE) * _loss(own, without.probabilities)
    if is_sound and _loss(given, after[ours:]) < _loss(given, own.fit()(given.signals)):
        return _Choice(both, after[:ours], texts)
    return without


def _beside(own: Rows, labels: Numbers) -> Numbers:
    """Weights of at most 1 with which labels have the proportion of the own ones, and SHARE of their weight at most."""
    share, positive = float(np.average(own.labels, weights=own.weight)), float(labels.sum())
    negative = len(labels) - positive
    total = min(positive / share, negative / (1 - share), SHARE * float(own.weight.sum())) if 0 < share < 1 else 0.0
    if not total:
        return np.zeros(len(labels))
    weights: Numbers = np.where(labels > 0, share * total / max(positive, 1), (1 - share) * total / max(negative, 1))
    return weights


def _loss(rows: Rows, probabilities: Numbers) -> float:
    """The mean log loss, a proper score: it falls with a better order and with truer probabilities."""
    sure = np.clip(np.where(rows.labels > 0, probabilities, 1 - probabilities), NEARLY, 1)
    return float(np.average(-np.log(sure), weights=rows.weight))


def pairs_of_verdicts(
    store: VectorStore, metric: MetricType, reference: Reference, vectors: Vectors, grades: Sequence[Grades]
) -> Pairs | None:
    """The pairs of judged texts with these vectors (n, dim), as they are found now. None if no verdict is on their best hits.

    Raises Unavailable.
    """
    queries, hits = RowsInTheMaking(), RowsInTheMaking()
    for start in range(0, len(grades), AT_ONCE):
        found = store.search(vectors[start : start + AT_ONCE], SearchOptions(TOP_K))
        for row, best in enumerate(found, start):
            if not best:
                continue
            images, scores = [hit.record for hit in best], cosines(best, metric)
            signals = reference.of_query(vectors[row], images, scores)
            if (has_match := _has_match(best, grades[row])) is not None:
                queries.add(signals[None, :], [has_match], row)
            told = [grades[row].get(hit.record.id) for hit in best]
            explicit = [place for place, grade in enumerate(told) if grade in {RELEVANT, IRRELEVANT}]
            if explicit:
                of_hits = reference.of_hits(signals, images, scores)[explicit]
                hits.add(of_hits, [told[place] == RELEVANT for place in explicit], row)
    return Pairs(queries.rows(), hits.rows()) if queries and hits else None


def _has_match(best: Sequence[Hit], grades: Grades) -> bool | None:
    """None if the verdicts do not tell: a click says that a hit was looked at."""
    told = [grades.get(hit.record.id) for hit in best]
    if RELEVANT in told:
        return True
    return False if told[:FIRST] == [IRRELEVANT] * FIRST and not any(grades.values()) else None
