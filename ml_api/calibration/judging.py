"""How well it is told whether a query has a match: the area under the ROC curve, and the expected calibration error."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from ml_api.calibration.pairs import Pairs
from ml_api.search.relevance import Calibration, Numbers, Reference

FOLDS: Final = 5
BINS: Final = 10


@dataclass(frozen=True, slots=True)
class Judgement:
    """Of `queries` searches, half of the weight on those that have a match. `raw` goes by the score of the best hit alone."""

    queries: int
    raw_auc: float
    auc: float
    calibration_error: float


def judged(pairs: Pairs, reference: Reference) -> Judgement:
    """Cross-validated: no query is judged by a fit that knew it."""
    numbers = np.unique(pairs.owner).astype(int)
    folds = np.zeros(int(max(pairs.owner.max(), pairs.hit_owner.max())) + 1, dtype=int)
    folds[numbers] = np.random.default_rng(0).permutation(len(numbers)) % FOLDS
    probabilities = np.zeros(len(pairs.owner))
    for fold in range(FOLDS):
        rest = folds[pairs.owner.astype(int)] == fold
        if rest.any():
            probabilities[rest] = pairs.fit(reference, folds != fold).any_match(pairs.queries[rest])
    return _judgement(pairs, probabilities)


def judged_by(calibration: Calibration, pairs: Pairs) -> Judgement:
    """By a calibration that was made without these queries."""
    return _judgement(pairs, calibration.any_match(pairs.queries))


def _judgement(pairs: Pairs, probabilities: Numbers) -> Judgement:
    return Judgement(
        len(pairs.owner),
        area_under_roc(pairs.queries[:, 0], pairs.has_match),
        area_under_roc(probabilities, pairs.has_match),
        calibration_error(probabilities, pairs.has_match, pairs.weight),
    )


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
