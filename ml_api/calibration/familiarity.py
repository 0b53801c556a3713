"""Whether an image that is asked for is of the corpus's sort at all: a fit to images of the corpus and to pictures of noise.

Scores hardly tell it: for a model of drawings, a photograph lies as near to drawings as they do to each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Final

import numpy as np

from ml_api.calibration.examples import Sampled
from ml_api.calibration.indexed import IndexedCorpus
from ml_api.calibration.measuring import held_out
from ml_api.calibration.nonsense import noise
from ml_api.calibration.pairs import Rows, evenly
from ml_api.search.logistic import LogisticRegression, Numbers

SEED: Final = 7
IMAGES: Final = 500
"""Images of the corpus that the fit knows, at most."""
NOISE: Final = 400
"""Pictures of noise that it knows. With 200, 0.082 of 200 photographs were called a match among 300 drawings, with 400 0.065."""


@dataclass(frozen=True, slots=True, eq=False)
class Familiarity:
    """How likely images are of the corpus's sort."""

    regression: LogisticRegression
    """Over vectors (n, dim)."""
    _known: dict[str, float]
    """Of those that the fit knows, by a fit that did not know them; by id."""

    @classmethod
    def of(cls, images: Sequence[Sampled], noise: Sequence[Sampled]) -> "Familiarity":
        """By images of the corpus, in random order, and pictures of noise."""
        own = images[:IMAGES]
        known, labels = [*own, *noise], np.repeat([1.0, 0.0], [len(own), len(noise)])
        vectors = np.stack([image.vector for image in known]).astype(np.float64)
        rows = Rows(vectors, labels, np.arange(len(known)), evenly(labels))
        return cls(rows.fit(), dict(zip((image.id for image in known), held_out(rows).tolist(), strict=True)))

    def of_each(self, images: Sequence[Sampled]) -> Numbers:
        """Of each image the probability by a fit that did not know it, shape (images,)."""
        probabilities = self.regression(np.stack([image.vector for image in images]))
        return np.array([self._known.get(image.id, new) for image, new in zip(images, probabilities.tolist(), strict=True)])


class Noise:
    """Pictures of noise, which nothing matches, and what is familiar beside them. Kinds of queries share both, which are made when
    they are first asked for.
    """

    def __init__(self, corpus: IndexedCorpus) -> None:
        self._corpus = corpus
        self._familiarity: Familiarity | None = None

    @cached_property
    def pictures(self) -> list[Sampled]:
        """Raises Unavailable."""
        some = noise(Random(SEED), NOISE, self._corpus.preprocessor.fit)  # noqa: S311 - no secret
        return [Sampled(f"noise {number}", vector) for number, vector in enumerate(self._corpus.pictured(some))]

    def familiarity(self, images: Sequence[Sampled]) -> Familiarity:
        """In the corpus that these images are of, in random order: the same ones each time. Raises Unavailable."""
        if self._familiarity is None:
            self._familiarity = Familiarity.of(images, self.pictures)
        return self._familiarity
