"""Relevance of hits for queries of several texts, for `pages`: each text is judged alone, by the calibration of single texts.

A match shows what every wanted text describes, or is named by its words, and nothing that an unwanted text describes. The score of
the combined vector tells this badly, because a subtracted text lowers all scores: of "a boat, no people" hardly a hit was likely.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np
import numpy.typing as npt

from ml_api.records import Hit
from ml_api.search.negation import UNWANTED
from ml_api.search.relevance import Estimator
from ml_api.vectors.scoring import score_of

Vector = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class TextPart:
    """One text of a query."""

    estimator: Estimator
    """For a search by this text alone."""
    vector: Vector
    """Shape (dim,), of length 1."""
    is_wanted: bool
    importance: float
    """0 to 1: its part in the result."""
    named: Mapping[str, float]
    """By image id, the certainty with which its words name the image, 0 to 1; without images that they do not name."""
    surest: float
    """The largest certainty with which its words name any image."""

    @property
    def likeliest(self) -> float:
        """The relevance of the likeliest hit of a search by this text alone."""
        return max((*self.estimator.relevances(self.estimator.best), self.surest))

    def relevances(self, hits: Sequence[Hit]) -> list[float]:
        """The probability that each hit of a search by this text alone is a match."""
        judged = zip(hits, self.estimator.relevances(hits), strict=True)
        return [max(relevance, self.named.get(hit.record.id, 0.0)) for hit, relevance in judged]

    def probability(self, relevance: float) -> float:
        """The probability that an image with this relevance for the text is as the text demands: a match, or none if unwanted."""
        demanded = relevance if self.is_wanted else 1.0 - relevance
        return float(demanded**self.importance)


@dataclass(frozen=True, slots=True, eq=False)
class TextsEstimator:
    """Estimates the relevance of the hits of a query of several texts; `Estimator` does so for other queries."""

    texts: Sequence[TextPart]
    """At least one of them is wanted."""
    vectors_of: Callable[[Sequence[str]], Mapping[str, Vector]]
    """The vectors of stored images by id, without those that were deleted meanwhile."""
    _known: dict[str, float] = field(default_factory=dict, init=False)
    """The relevances that were estimated, by image id."""

    def any_match(self, left: Sequence[Hit]) -> float:
        """The probability that any image is a match. `left` are the best hits of the query.

        It is that of the surest wanted text, times the ratio of the likeliest hit of the query to an image that would be the
        likeliest hit of each wanted text: the other texts leave some of what that one finds, as filters do.
        """
        wanted = [text for text in self.texts if text.is_wanted]
        if not left or not all(text.estimator.best for text in wanted):
            return 0.0
        surest = max(text.importance * text.estimator.any_match(text.estimator.best) for text in wanted)
        likeliest = prod(text.probability(text.likeliest) for text in wanted)
        return surest * min(1.0, max(self.relevances(left)) / likeliest) if likeliest else 0.0  # many unlikely ones vanish

    @property
    def upper_bound(self) -> float:
        """No hit has a larger relevance."""
        return prod(text.probability(max(text.estimator.upper_bound, text.surest)) for text in self.texts if text.is_wanted)

    def relevances(self, hits: Sequence[Hit]) -> tuple[float, ...]:
        """The probability that each hit is a match, 0 to 1; 0 for an image that was deleted meanwhile."""
        new = [hit for hit in hits if hit.record.id not in self._known]
        if new:
            vectors = self.vectors_of([hit.record.id for hit in new])
            stored = [hit for hit in new if hit.record.id in vectors]
            self._known.update(dict.fromkeys((hit.record.id for hit in new), 0.0))
            if stored:
                self._estimate(stored, np.stack([vectors[hit.record.id] for hit in stored]))
        return tuple(self._known[hit.record.id] for hit in hits)

    def _estimate(self, hits: Sequence[Hit], vectors: npt.NDArray[np.float32]) -> None:
        """Keep the relevances of `hits`, which have these `vectors` (hits, dim)."""
        of_texts = []
        for text in self.texts:
            scores = (score_of(cosine, text.estimator.metric) for cosine in (vectors @ text.vector).tolist())
            alone = [Hit(hit.record, score) for hit, score in zip(hits, scores, strict=True)]
            of_texts.append([text.probability(one) for one in text.relevances(alone)])
        self._known.update(zip((hit.record.id for hit in hits), map(prod, zip(*of_texts, strict=True)), strict=True))


def importances(weights: Sequence[float]) -> list[float]:
    """How much each text counts, 0 to 1: one that is wanted by its share of the largest weight, one that is not in full from the
    weight on that negations in plain words have.
    """
    largest = max(weights)
    shares = [weight / largest for weight in weights]
    return [min(1.0, share if share > 0 else share / UNWANTED) for share in shares]
