"""Words beside vectors: how much it says that an image has words of a query, and where it then comes in the ranking.

What a match is worth is the information in it, by the document frequencies of the query's words, as BM25 weighs them (Robertson and
Zaragoza, The Probabilistic Relevance Framework, 2009). How often a word stands in a caption, and how long that is, do not count: so
equal matches stay equal, and the vectors decide between them. The two rankings are fused by reciprocal rank (Cormack, Clarke and
Buettcher, SIGIR 2009); the figures are in docs/decisions/0082-hybrid-search.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import log
from typing import Final

from ml_api.search.query import SCORE_DIGITS
from ml_api.texts.index import Found

K: Final = 60
"""Of reciprocal rank fusion, as in the paper."""
HEAD: Final = 100
"""Of the vectors' ranking the part that is fused; what follows stays in its order."""
MOST: Final = 300
"""Images that words are to tell from all others; with more they say too little of each."""
MOST_ALONE: Final = 1000
"""Images that are looked up where only words count. Where more have them all, those among the nearest are found, too."""
LEAST: Final = 0.5
"""Share of what a query says that must have been said of an image."""
LEAST_CERTAIN: Final = 0.1
"""Certainty from which on a match counts: what nearly all images are called, tells nothing."""
UNSAID: Final = 0.1
"""What a word counts that is said of no image, beside one that is said of a single one: "show me a photo of" asks for nothing. A
number that is nowhere counts in full: another one is not what was asked for."""
WEIGHT: Final = 2.0
POWER: Final = 3
"""A match counts by its certainty to the third: a sure one comes before all else, one of many moves hits by some places."""


@dataclass(frozen=True, eq=False)
class TextMatches:
    """The images that have words of one query. `share` is how much of the query is text."""

    found: Found
    share: float = 1.0
    only: bool = False
    """Whether other images are left out."""

    @cached_property
    def coverages(self) -> Mapping[str, float]:
        """Of images by id that match, the share of the query's information that their words are, 0 to 1."""
        if self.only:
            return self._coverages
        return {image: share for image, share in self._coverages.items() if self._certainty(share) >= LEAST_CERTAIN}

    def certainty(self, image: str) -> float:
        """That this image is meant, 0 to 1: how much of the query it has, and how few have as much."""
        return self.share * self._certainty(self._coverages[image])

    def naming(self, image: str) -> float:
        """That the words name this image, 0 to 1: its certainty, as far as its rarest word alone tells it from the others.

        That few images have several common words tells less: in a caption they may be said of different things.
        """
        rarest = min(self.found.known[word] for word in self.found.images[image])
        return min(self.certainty(image), self.share * self._rarity(max(rarest, 1)))

    def telling(self, words: frozenset[str]) -> frozenset[str]:
        """Those that at most half of the images have."""
        return frozenset(word for word in words if 2 * self.found.known[word] <= self.found.of) or words

    @cached_property
    def _coverages(self) -> Mapping[str, float]:
        if self.only:
            return dict.fromkeys(self.found.images, 1.0)
        every = {image: sum(map(self._information.__getitem__, has)) for image, has in self.found.images.items()}
        total = sum(self._information.values())
        return {image: round(some / total, 6) for image, some in every.items() if total > 0 and some >= LEAST * total}

    @property
    def is_cut(self) -> bool:
        """Whether more images may have all the words than were looked up."""
        return self.only and len(self.found.images) >= MOST_ALONE

    @cached_property
    def standing_alone(self) -> frozenset[str]:
        """Images that are found even if their vectors are far away."""
        return frozenset(image for image in self.coverages if self.only or self.score(image) > 1 / (K + HEAD))

    def score(self, image: str) -> float:
        """What the ranking by words adds to the fused score."""
        return WEIGHT * self.certainty(image) ** POWER / (K + self._places[self.coverages[image]][0])

    def joined(self, images: Iterable[str]) -> "TextMatches":
        """With more images, which have all the words."""
        return self._of(dict.fromkeys(images, frozenset(self.found.known)) | dict(self.found.images))

    def without(self, images: frozenset[str]) -> "TextMatches":
        return self._of({image: has for image, has in self.found.images.items() if image not in images})

    def _of(self, images: Mapping[str, frozenset[str]]) -> "TextMatches":
        return replace(self, found=replace(self.found, images=images))

    def fused(self, ranked: Sequence[str], scores: Mapping[str, float]) -> list[str]:
        """The fused ranking of ids; `ranked` is the vectors' from its beginning on, of HEAD at least if there are so many.

        `scores` are the vectors', of all these and of images that stand alone: between equal matches they decide, so that the order
        is the same however far the ranking was read.
        """
        nearest = {image: 1 / (K + rank) for rank, image in enumerate(ranked[:HEAD], start=1)}
        matching = [image for image in self.coverages if image in nearest or (image in self.standing_alone and image in scores)]
        worth = ({} if self.only else nearest) | {image: self.score(image) + nearest.get(image, 0.0) for image in matching}
        head = sorted(worth, key=lambda image: (-worth[image], -round(scores[image], SCORE_DIGITS), image))
        return head if self.only else head + [image for image in ranked[HEAD:] if image not in worth]

    def _certainty(self, coverage: float) -> float:
        return coverage * self._rarity(self._places[coverage][1])

    def _rarity(self, images: int) -> float:
        """The share of the information that tells one image from all others that is known when so many are left."""
        of = max(self.found.of, images + 1)
        return log(of / images) / log(of)

    @cached_property
    def _information(self) -> Mapping[str, float]:
        """Of each word of the query."""
        return {
            word: log(max(self.found.of, images, 2) / max(images, 1)) * (1 if images or _has_digit(word) else UNSAID)
            for word, images in self.found.known.items()
        }

    @cached_property
    def _places(self) -> Mapping[float, tuple[int, int]]:
        """Of each coverage the rank, equal for equal ones, and how many images have as much."""
        places: dict[float, tuple[int, int]] = {}
        for place, coverage in enumerate(sorted(self._coverages.values(), reverse=True), start=1):
            places[coverage] = places.get(coverage, (place, place))[0], place
        return places


def _has_digit(word: str) -> bool:
    return any(map(str.isdigit, word))
