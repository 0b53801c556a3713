"""Relevance: the probability that a hit is a match, and that a query has any match at all.

A raw score tells little across queries: "zebra" finds its nearest dog with a score that would be good for another text. More is
told by how the best scores compare with those of a sample of the corpus, and with what other texts score on the same images
(querybank normalisation: Bogolin et al., Cross Modal Retrieval with Querybank Normalisation, CVPR 2022). A logistic regression
weighs these signals; `ml_api.calibration` fits it for one model, corpus and kind of query. An image that is asked for may be of
quite another sort than the corpus: another regression, over its vector, tells how likely it is of the corpus's sort, familiar.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final
from zlib import crc32

import numpy as np
import numpy.typing as npt

from ml_api.records import Entry, Hit, Vectors
from ml_api.search.logistic import LogisticRegression, Numbers
from ml_api.vectors.base import MetricType
from ml_api.vectors.scoring import cosine_of
from ml_api.vocabulary import Modality, QueryKind

TOP_K: Final = 10
"""The scores of this many best hits are signals."""
TEMPERATURE: Final = 0.02
"""The temperature of the soft maximum over rivals, as in the paper."""
CONFIDENT: Final = 0.5
"""An answer is confident from this probability of a match on."""
TAIL: Final = 0.99
"""The quantile of the background's scores that the best score is compared with."""
ITSELF: Final = 0.999
"""From this cosine similarity on, an image of the background is the one that is asked for, or a copy."""


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """What the scores of queries of one kind are compared with."""

    background: Vectors
    """Shape (n, dim): images of the corpus, drawn at random."""
    fingerprints: npt.NDArray[np.uint64]
    """Shape (images,), ascending: `fingerprints_of` the images."""
    rivals: npt.NDArray[np.float32]
    """Shape (images,): for each image the soft maximum of what other queries score on it."""

    def rivals_of(self, images: Sequence[Entry]) -> Numbers:
        """The rivals of each image; their mean for images that came or changed since."""
        if not len(self.fingerprints):
            return np.zeros(len(images))
        places, known = self._places(images)
        rivals = self.rivals[places].astype(np.float64)
        if not known.all():  # the mean of all takes longer than the rest
            rivals[~known] = self.rivals.mean()
        return rivals

    def unknown(self, images: Sequence[Entry]) -> float:
        """The share of these images that came or changed since."""
        return 1.0 - float(self._places(images)[1].mean()) if len(self.fingerprints) and len(images) else 0.0

    def _places(self, images: Sequence[Entry]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
        """For each image its index among the fingerprints, and whether it is there."""
        wanted = fingerprints_of(images)
        places = np.minimum(np.searchsorted(self.fingerprints, wanted), len(self.fingerprints) - 1)
        return places, self.fingerprints[places] == wanted

    def of_query(
        self,
        vector: npt.NDArray[np.float32],
        images: Sequence[Entry],
        scores: Sequence[float],
        asked_for: npt.NDArray[np.float32] | None = None,
    ) -> Numbers:
        """The signals (7,) of a query with the vector (dim,), whose best hits are these images with these scores (at least one).

        `asked_for` is the vector (dim,) of its image, if it has one: no image is its own background, as it is for no new one.
        """
        ours, background = np.asarray(scores, dtype=np.float64), (self.background @ vector).astype(np.float64)
        if asked_for is not None:
            others = background[self.background @ asked_for < ITSELF]
            background = others if len(others) else background
        beside = ours - self.rivals_of(images)
        deviation = background.std() + 1e-9
        tail = np.partition(background, int(TAIL * (len(background) - 1)))[int(TAIL * (len(background) - 1))]
        return np.array(
            [
                ours[0],
                ours.mean(),
                (ours[0] - background.mean()) / deviation,
                deviation,
                ours[0] - tail,
                beside.mean(),
                beside.max(),
            ]
        )

    def of_hits(self, of_query: Numbers, images: Sequence[Entry], scores: Sequence[float]) -> Numbers:
        """The signals (n, 9) of hits of a query with these signals."""
        ours = np.asarray(scores, dtype=np.float64)
        return np.hstack([np.stack([ours, ours - self.rivals_of(images)], axis=1), np.tile(of_query, (len(ours), 1))])


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """The fits for queries of one kind, on one model and corpus: whether there is any match, and whether a hit is one."""

    reference: Reference
    any_match: LogisticRegression
    """Over the signals of a query; it takes for granted that the image that is asked for, if any, is of the corpus's sort."""
    is_match: LogisticRegression
    """Over those of a hit; likewise."""
    is_familiar: LogisticRegression | None = None
    """Over the vector of the image that is asked for: whether it is of the corpus's sort. None where none is asked for."""

    def familiarity(self, asked_for: npt.NDArray[np.float32] | None) -> float:
        """The probability that an image with this vector (dim,) is of the corpus's sort; 1 if none is asked for."""
        if self.is_familiar is None or asked_for is None:
            return 1.0
        return float(self.is_familiar(asked_for[None, :])[0])


@dataclass(frozen=True, eq=False)
class Estimator:
    """Estimates the relevance of the hits of one query, from its best hits among all images: so a hit has the same relevance
    whatever filter, page or order it is found in.
    """

    calibration: Calibration
    metric: MetricType
    best: Sequence[Hit]
    """The TOP_K best hits among all images, but images that are terms themselves."""
    signals: Numbers | None
    """Of the query, as `Reference.of_query` has them. None if there are no best hits."""
    familiarity: float = 1.0
    """The probability that the image that is asked for is of the corpus's sort: otherwise nothing is a match."""
    _known: dict[str, float] = field(default_factory=dict, init=False)
    """The relevances that were estimated, by image id: pages and facets share hits."""

    def any_match(self, left: Sequence[Hit]) -> float:
        """The probability that any image that a filter leaves is a match. `left` are the TOP_K best hits of these.

        It is that of all images, times the ratio of the likeliest hit that is left to the likeliest of all.
        """
        if self.signals is None or not left:
            return 0.0
        return self.upper_bound * min(1.0, max(self.relevances(left)) / max(self.relevances(self.best)))

    @cached_property
    def upper_bound(self) -> float:
        """The probability that any of all images is a match, which bounds the relevance of every hit that words do not name."""
        return 0.0 if self.signals is None else self.familiarity * float(self.calibration.any_match(self.signals[None, :])[0])

    def relevances(self, hits: Sequence[Hit]) -> tuple[float, ...]:
        """The probability that each hit is a match, 0 to 1: at least the certainty with which words name it."""
        named = [hit.match.certainty if hit.match else 0.0 for hit in hits]
        return tuple(map(max, self._by_vectors(hits), named))

    def _by_vectors(self, hits: Sequence[Hit]) -> Sequence[float]:
        """No more than that there is any match, which another fit tells."""
        if self.signals is None:
            return [0.0] * len(hits)
        new = [hit for hit in hits if hit.record.id not in self._known]
        if new:
            signals = self.calibration.reference.of_hits(self.signals, [hit.record for hit in new], cosines(new, self.metric))
            probabilities = np.minimum(self.familiarity * self.calibration.is_match(signals), self.upper_bound)
            self._known.update(zip((hit.record.id for hit in new), probabilities.tolist(), strict=True))
        return [self._known[hit.record.id] for hit in hits]


class Calibrations:
    """The calibrations in use, by kind of query. They may be replaced or removed while searches run."""

    def __init__(self, metric: MetricType) -> None:
        self._metric = metric
        self._calibrations: dict[QueryKind, Calibration] = {}

    def use(self, kind: QueryKind, calibration: Calibration | None) -> None:
        """Replace the calibration of this kind; None removes it."""
        if calibration is None:
            self._calibrations.pop(kind, None)
        else:
            self._calibrations[kind] = calibration

    def unknown(self, kind: QueryKind, images: Sequence[Entry]) -> float:
        """The share of these images that came or changed since the calibration in use was made; 0 if there is none."""
        calibration = self._calibrations.get(kind)
        return calibration.reference.unknown(images) if calibration else 0.0

    def has(self, kind: QueryKind | None) -> bool:
        return kind in self._calibrations

    def estimator(
        self,
        kind: QueryKind,
        vector: npt.NDArray[np.float32],
        best: Sequence[Hit],
        asked_for: npt.NDArray[np.float32] | None = None,
    ) -> Estimator | None:
        """The estimator for a query; None if this kind is not calibrated.

        `best` are its TOP_K best hits among all images, without images that are terms themselves; `asked_for` is the vector of its
        image, if it has one.
        """
        calibration = self._calibrations.get(kind)
        if calibration is None:
            return None
        images, scores = [hit.record for hit in best], cosines(best, self._metric)
        signals = calibration.reference.of_query(vector, images, scores, asked_for) if best else None
        return Estimator(calibration, self._metric, best, signals, calibration.familiarity(asked_for))


def kind_of(modalities: Sequence[Modality | None], weights: Sequence[float]) -> QueryKind | None:
    """The kind of a query with such terms; several texts are judged one by one, each as a single text (`texts_relevance`).

    None if no calibration applies: a term is a vector that was embedded elsewhere, several terms are images, or none has a positive
    weight.
    """
    if None in modalities or max(weights) <= 0 or modalities.count("image") > 1:
        return None
    if "image" not in modalities:
        return "text"
    return "image" if len(modalities) == 1 else "mixed"


def cosines(hits: Sequence[Hit], metric: MetricType) -> list[float]:
    """The cosine similarity of each hit to the query."""
    return [cosine_of(hit.score, metric) for hit in hits]


def fingerprints_of(images: Sequence[Entry]) -> npt.NDArray[np.uint64]:
    """A fingerprint (uint64) of each image: bits of its id and of its digest, so that another file under the same key has another
    one."""
    return np.array([int(image.id[:16], 16) ^ crc32(image.digest.encode()) for image in images], dtype=np.uint64)


def soft_maximum(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The soft maximum of each column of `scores` (rivals, images). A mean in place of the sum keeps it from growing with the
    number of rivals.
    """
    highest = scores.max(axis=0)
    means = np.exp((scores - highest) / TEMPERATURE).mean(axis=0)
    level: npt.NDArray[np.float32] = (highest + TEMPERATURE * np.log(means)).astype(np.float32)
    return level
