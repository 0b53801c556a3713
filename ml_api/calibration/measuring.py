"""Measures of the prediction whether a query has a match: the area under the ROC curve, and the expected calibration error."""

from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ml_api.calibration.pairs import Pairs, Rows
from ml_api.search.logistic import Numbers
from ml_api.search.relevance import Calibration

FOLDS: Final = 5
IN_WORDS: Final = (
    "over {queries} searches: area under the ROC curve {auc:.3f} (by raw score {raw_auc:.3f}), expected calibration error "
    "{calibration_error:.3f}"
)
A_GUESS: Final = 0.7
"""Areas under the ROC curve up to here are hardly better than a guess, 0.5 (Hosmer and Lemeshow, Applied Logistic Regression, call
more acceptable): nothing is to be said of searches of that kind."""
BINS: Final = 10


@dataclass(frozen=True, slots=True)
class Measures:
    """Quality of the prediction over `queries` searches; those with and without a match have the same weight.
    `raw_auc` is that of the best hit's score alone, `paired_auc` that over the searches which are made with their matches and
    without, so that noise and other searches that never have a match do not flatter it.
    """

    queries: int
    raw_auc: float
    auc: float
    calibration_error: float
    paired_auc: float

    @property
    def tells(self) -> bool:
        """Whether the prediction is better than guessing."""
        return self.paired_auc > A_GUESS

    def __str__(self) -> str:
        words = IN_WORDS.format_map(asdict(self))
        return f"{words}; of those that have a match, with it and without: area {self.paired_auc:.3f}"


def cross_validated(rows: Rows) -> Measures:
    """Those of a fit to these queries: of each by a fit that did not know it."""
    return measures_of(rows, held_out(rows))


def held_out(rows: Rows) -> Numbers:
    """Of each row the probability by a fit to other queries, shape (n,)."""
    numbers, owner = np.unique(rows.owner, return_inverse=True)
    folds = (np.random.default_rng(0).permutation(len(numbers)) % FOLDS)[owner]
    probabilities = np.zeros(len(owner))
    for fold in range(FOLDS):
        rest = folds == fold
        if rest.any():
            probabilities[rest] = rows.some(~rest).fit()(rows.signals[rest])
    return probabilities


def measures_by(calibration: Calibration, pairs: Pairs) -> Measures:
    """Those of a calibration that was made without these queries."""
    return measures_of(pairs.queries, calibration.any_match(pairs.queries.signals))


def measures_of(rows: Rows, probabilities: Numbers) -> Measures:
    paired = _paired(rows)
    return Measures(
        len(rows.owner),
        area_under_roc(rows.signals[:, 0], rows.labels),
        area_under_roc(probabilities, rows.labels),
        calibration_error(probabilities, rows.labels, rows.weight),
        area_under_roc(probabilities[paired], rows.labels[paired]),
    )


def _paired(rows: Rows) -> npt.NDArray[np.bool_]:
    """Which rows are of queries that have both labels."""
    both = np.intersect1d(rows.owner[rows.labels > 0], rows.owner[rows.labels <= 0])
    return np.isin(rows.owner, both)


def area_under_roc(scores: Numbers, labels: Numbers) -> float:
    """The chance that a positive scores above a negative; equal scores count half. 0.5 if there are not both."""
    positive, negative = scores[labels > 0], np.sort(scores[labels <= 0])
    if not len(positive) or not len(negative):
        return 0.5
    below, up_to = (np.searchsorted(negative, positive, side) for side in ("left", "right"))
    return float((below + up_to).mean() / (2 * len(negative)))


def calibration_error(probabilities: Numbers, labels: Numbers, weights: Numbers) -> float:
    """The mean distance of probabilities from the share of positives, over `BINS` bins of probability (Guo et al., ICML 2017)."""
    bins = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    error = 0.0
    for number in range(BINS):
        here = bins == number
        if here.any():
            error += abs(float(weights[here] @ (probabilities[here] - labels[here])))
    return error / float(weights.sum())
