"""Queries of each kind whose matches the corpus itself tells: of its texts, of its images, and of several of them."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from ml_api.calibration.phrases import Wanted, content_words, phrases, texts_of
from ml_api.records import Vectors
from ml_api.search.combining import combined
from ml_api.search.negation import UNWANTED
from ml_api.vectors.base import VectorStore
from ml_api.vocabulary import QueryKind

RECORDS: Final = 2000
"""Images whose texts are read, drawn at random."""
PHRASES: Final = 3
"""Phrases of an image, at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Sampled:
    """An image of the corpus, with its phrases."""

    id: str
    vector: npt.NDArray[np.float32]
    texts: Sequence[str] = ()
    phrases: Sequence[str] = ()
    """Some of those in its texts."""

    @property
    def words(self) -> frozenset[str]:
        return content_words(self.texts)


@dataclass(frozen=True, slots=True)
class Example:
    """A query by a text, by an image, or by both, and which images match it."""

    wanted: Wanted
    image: Sampled | None = None
    text: str | None = None
    text_weight: float = 1.0
    """Beside 1 for the image."""

    def vector(self, of_texts: Mapping[str, npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        """As a search combines its terms, shape (dim,)."""
        points: list[npt.NDArray[np.float32]] = [] if self.image is None else [self.image.vector]
        weights = [1.0] * len(points)
        if self.text is not None:
            points.append(of_texts[self.text])
            weights.append(self.text_weight)
        return combined(points, weights).vector


@dataclass(slots=True)
class Sample:
    """Some images, and their phrases, each once; both in random order."""

    images: list[Sampled] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, store: VectorStore, chance: random.Random) -> "Sample":
        """Raises Unavailable."""
        images = _drawn(store, chance)
        chance.shuffle(images)
        sample, found = cls(), dict[str, None]()
        for image in images:
            said = [phrase for text in image.texts for phrase in phrases(text)]
            some = chance.sample(said, min(PHRASES, len(said)))
            found.update(dict.fromkeys(some))
            sample.images.append(replace(image, phrases=some))
        sample.texts = list(found)
        chance.shuffle(sample.texts)
        return sample

    def examples(self, kind: QueryKind, chance: random.Random) -> list[Example]:
        made: Mapping[QueryKind, Callable[[], Iterator[Example]]] = {
            "text": lambda: (of_text(text) for text in self.texts),
            "image": lambda: (of_image(image) for image in self.images if image.words),
            "mixed": lambda: self._mixed(chance),
        }
        return list(made[kind]())

    def _mixed(self, chance: random.Random) -> Iterator[Example]:
        """An image and a phrase of another image, or an image without one."""
        for image, other in self._pairs(chance):
            text = chance.choice(other.phrases)
            words = content_words([text])
            if not words or words <= image.words:
                continue
            if chance.random() < 0.5:
                wanted = Wanted(words, like=image.words | words, itself=image.id)
                yield Example(wanted, image, text)
            else:
                wanted = Wanted(like=image.words, none_of=words, itself=image.id)
                yield Example(wanted, image, text, UNWANTED)

    def _pairs(self, chance: random.Random) -> Iterator[tuple[Sampled, Sampled]]:
        said = [image for image in self.images if image.phrases]
        return ((image, chance.choice(said)) for image in said)


def of_text(text: str) -> Example:
    return Example(Wanted(content_words([text])), text=text)


def of_image(image: Sampled) -> Example:
    """Without itself, an image is to its corpus what a new one of the same kind would be."""
    return Example(Wanted(like=image.words, itself=image.id), image)


def _drawn(store: VectorStore, chance: random.Random) -> list[Sampled]:
    """RECORDS images at most, by reservoir sampling."""
    kept, seen = list[Sampled](), 0
    for records, vectors in store.scan():
        for record, vector in zip(records, vectors, strict=True):
            place = len(kept) if len(kept) < RECORDS else chance.randrange(seen + 1)
            seen += 1
            if place < RECORDS:
                own = vector.copy()  # a view would keep its whole page
                kept[place : place + 1] = [Sampled(record.id, own, list(texts_of(record)))]
    return kept


def vectors_of(examples: Sequence[Example], of_texts: Mapping[str, npt.NDArray[np.float32]]) -> Vectors:
    """Shape (examples, dim)."""
    return np.stack([example.vector(of_texts) for example in examples])
