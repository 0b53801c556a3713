"""Relevance for queries of several texts, which `pages` asks: each text is judged alone, by the calibration of single texts.

A match shows what every wanted text says, or is named by its words, and nothing that an unwanted one says. The score of the
combined vector tells this badly: a text that is taken off lowers all scores, so that "a boat, no people" had hardly a likely match.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np
import numpy.typing as npt

from ml_api.records import Hit
from ml_api.search.negation import UNWANTED
from ml_api.search.relevance import Judge
from ml_api.vectors.scoring import score_of

Vector = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class JudgedText:
    """A text of a query."""

    judge: Judge
    """Of a search by this text alone."""
    vector: Vector
    """Shape (dim,), of length 1."""
    is_wanted: bool
    importance: float
    """0 to 1: how much it counts."""
    named: Mapping[str, float]
    """How certainly its own words name an image, by id, 0 to 1; without images that they do not name."""
    surest: float
    """How certainly they name any image."""

    @property
    def likeliest(self) -> float:
        """The relevance of the likeliest hit of a search by this text alone."""
        return max((*self.judge.relevances(self.judge.best), self.surest))

    def relevances(self, hits: Sequence[Hit]) -> list[float]:
        """The probability that each hit of a search by this text alone is a match."""
        judged = zip(hits, self.judge.relevances(hits), strict=True)
        return [max(relevance, self.named.get(hit.record.id, 0.0)) for hit, relevance in judged]

    def probability(self, relevance: float) -> float:
        """That an image is as this text demands, of its relevance for the text."""
        demanded = relevance if self.is_wanted else 1.0 - relevance
        return float(demanded**self.importance)


@dataclass(frozen=True, slots=True, eq=False)
class TextsJudge:
    """Judges hits of one query of several texts, as `Judge` does those of others."""

    texts: Sequence[JudgedText]
    """At least one of them is wanted."""
    vectors_of: Callable[[Sequence[str]], Mapping[str, Vector]]
    """The vectors of stored images by id, without those that were deleted meanwhile."""
    _known: dict[str, float] = field(default_factory=dict, init=False)
    """The relevances of images that were judged, by id."""

    def any_match(self, left: Sequence[Hit]) -> float:
        """The probability that any image is a match. `left` are the best hits of the query.

        It is that of the surest wanted text, times the ratio of the likeliest hit of the query to an image that would be the
        likeliest hit of each wanted text: the other texts leave some of what that one finds, as filters do.
        """
        wanted = [text for text in self.texts if text.is_wanted]
        if not left or not all(text.judge.best for text in wanted):
            return 0.0
        surest = max(text.importance * text.judge.any_match(text.judge.best) for text in wanted)
        likeliest = prod(text.probability(text.likeliest) for text in wanted)
        return surest * min(1.0, max(self.relevances(left)) / likeliest) if likeliest else 0.0  # many unlikely ones vanish

    @property
    def most(self) -> float:
        """What no hit is likelier to be a match than."""
        return prod(text.probability(max(text.judge.most, text.surest)) for text in self.texts if text.is_wanted)

    def relevances(self, hits: Sequence[Hit]) -> tuple[float, ...]:
        """The probability that each hit is a match, 0 to 1; 0 for an image that was deleted meanwhile."""
        new = [hit for hit in hits if hit.record.id not in self._known]
        if new:
            vectors = self.vectors_of([hit.record.id for hit in new])
            stored = [hit for hit in new if hit.record.id in vectors]
            self._known.update(dict.fromkeys((hit.record.id for hit in new), 0.0))
            if stored:
                self._judge(stored, np.stack([vectors[hit.record.id] for hit in stored]))
        return tuple(self._known[hit.record.id] for hit in hits)

    def _judge(self, hits: Sequence[Hit], vectors: npt.NDArray[np.float32]) -> None:
        """Keep the relevances of `hits`, which have these `vectors` (hits, dim)."""
        of_texts = []
        for text in self.texts:
            scores = (score_of(cosine, text.judge.metric) for cosine in (vectors @ text.vector).tolist())
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
