"""One pass over all images of a corpus, which reads their vectors, for searches of several kinds together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ml_api.calibration.examples import Example, Sample
from ml_api.calibration.phrases import Matching, Rarity
from ml_api.records import ImageRecord, Vectors
from ml_api.search.relevance import Reference, fingerprints_of, soft_maximum
from ml_api.vectors.base import VectorStore

BACKGROUND: Final = 500
MAX_MATCHES: Final = 500


class Survey:
    """What searches of one kind want to know of each image: what their rivals score on it, and which queries it matches."""

    def __init__(self, rarity: Rarity, rivals: Sequence[Example], vectors_of_rivals: Vectors, queries: Sequence[Example]) -> None:
        self._vectors = vectors_of_rivals
        self._rows = {rival.wanted.itself: row for row, rival in enumerate(rivals) if rival.wanted.itself}
        self._matching = Matching([query.wanted for query in queries], MAX_MATCHES, rarity)
        self._levels = list[np.ndarray]()

    @property
    def matches(self) -> list[set[str]]:
        """The ids of images, by query."""
        return self._matching.matches

    @property
    def levels(self) -> np.ndarray:
        """What the rivals score on each image, shape (images,)."""
        return np.concatenate(self._levels) if self._levels else np.empty(0, dtype=np.float32)

    def look_at(self, records: Sequence[ImageRecord], vectors: Vectors) -> None:
        scores = self._vectors @ vectors.T
        for column, record in enumerate(records):
            self._matching.look_at(record)
            if record.id in self._rows:
                scores[self._rows[record.id], column] = -1.0  # no image is its own rival
        self._levels.append(soft_maximum(scores))


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What scores are compared with, the ids of the images that each query matches, and how many images there are."""

    reference: Reference
    matches: Sequence[set[str]]
    images: int


def survey(store: VectorStore, sample: Sample, surveys: Sequence[Survey]) -> list[Surveyed]:
    """By survey. Raises Unavailable."""
    found = list[np.ndarray]()
    for records, vectors in store.scan():
        found.append(fingerprints_of(records))
        for one in surveys:
            one.look_at(records, vectors)
    marked = np.concatenate(found) if found else np.empty(0, dtype=np.uint64)
    order = np.argsort(marked)
    background = [image.vector for image in sample.images[:BACKGROUND]]
    drawn = np.stack(background) if background else np.empty((0, 0), dtype=np.float32)
    return [Surveyed(Reference(drawn, marked[order], one.levels[order]), one.matches, len(marked)) for one in surveys]


def rarity_of(sample: Sample) -> Rarity:
    return Rarity([image.words for image in sample.images])
