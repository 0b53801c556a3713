"""Fuses two rankings, for `hybrid`: by the words that images share with a query, and by their vectors.

A match counts by the information in its words, from their document frequencies, as BM25 weights them (Robertson and Zaragoza, The
Probabilistic Relevance Framework, 2009). Term frequency and the length of a caption do not count, so equal matches stay equal, and
the vectors decide between them. The two rankings are fused by reciprocal rank (Cormack, Clarke and Buettcher, SIGIR 2009); the
figures are in docs/decisions/0082-hybrid-search.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import log
from typing import Final, NamedTuple

from ml_api.search.query import SCORE_DIGITS
from ml_api.texts.index import Found

RRF_K: Final = 60
"""The constant of reciprocal rank fusion, as in the paper."""
FUSED_HITS: Final = 100
"""The first hits of the ranking by vectors are fused; those that follow keep their order."""
MAX_MATCHES: Final = 300
"""If more images than this have the words, these distinguish too little, and the ranking by vectors is used alone."""
MAX_MATCHES_ALONE: Final = 1000
"""The most images that are looked up where only words count (`match=text`). If more have all the words, those among the nearest
hits are found, too."""
MIN_COVERAGE: Final = 0.5
"""The least share of the query's information that an image's words must have to count as a match."""
MIN_CERTAINTY: Final = 0.1
"""The least certainty of a match that counts: a word that nearly all images have distinguishes none."""
ABSENT_WORD: Final = 0.1
"""The weight of a word that no image has; that of a word of a single image is 1. Queries have words without a meaning for the
search, such as "show me a photo of". A number that no image has counts in full, as an image with another number is not a match."""
TEXT_WEIGHT: Final = 2.0
"""The weight of the ranking by words; that of the ranking by vectors is 1."""
CERTAINTY_POWER: Final = 3
"""A match counts by this power of its certainty: a sure one comes first, an uncertain one moves up by a few places."""


@dataclass(frozen=True, slots=True)
class TermWords:
    """The words of one term of a query."""

    words: frozenset[str]
    """Those that were looked up; none of a term that is no text, or is not wanted."""
    importance: float
    """0 to 1: its weight as a share of the largest weight of a text."""


class Standing(NamedTuple):
    """Where a coverage stands among those of all matching images."""

    rank: int
    """From 1 on; equal for equal coverages."""
    images: int
    """How many images have as much or more."""


@dataclass(frozen=True, eq=False)
class TextMatches:
    """The images that share words with one query."""

    found: Found
    terms: Sequence[TermWords]
    """The terms of the query, in their order."""
    share: float = 1.0
    """The share of the query's weights that is on texts."""
    only: bool = False
    """Whether images without the words are left out (`match=text`)."""

    @cached_property
    def coverages(self) -> Mapping[str, float]:
        """For each matching image, by id: the share of the query's information that its words have, 0 to 1."""
        if self.only:
            return self._coverages
        return {image: share for image, share in self._coverages.items() if self._certainty_of(image) >= MIN_CERTAINTY}

    def certainty(self, image: str) -> float:
        """How certainly this image is meant, 0 to 1: it grows with the coverage, falls with the number of images that have as much,
        and is limited by the importance of the words."""
        return self.share * self._certainty_of(image)

    def _certainty_of(self, image: str) -> float:
        return min(self._certainty(self._coverages[image]), max(self._importance[word] for word in self.found.images[image]))

    def naming(self, has: frozenset[str]) -> float:
        """How certainly the words `has` of an image name it, 0 to 1: limited by how well one of them alone distinguishes it from
        the others; 0 below MIN_CERTAINTY.

        A combination of common words may be rare and still name nothing: in a caption they may describe different things.
        """
        coverage = self._coverage(has)
        if coverage < MIN_COVERAGE:
            return 0.0
        alone = max(self._importance[word] * self._rarity(max(self.found.known[word], 1)) for word in has)
        certainty = self.share * min(self._certainty(coverage), alone)
        return certainty if certainty >= MIN_CERTAINTY else 0.0

    def naming_by_term(self, has: frozenset[str]) -> tuple[float, ...]:
        """How certainly the words of each term name an image that has the words `has`: as if that term were all of the query, but
        where only words count. There the words of all texts are in it, and what they say together is divided among them.
        """
        if self.only:
            texts = [bool(term.words) for term in self.terms]
            return tuple(self.naming(has) ** (1 / sum(texts)) if is_text else 0.0 for is_text in texts)
        return tuple(self._alone[term.words].naming(has & term.words) if term.words else 0.0 for term in self.terms)

    @cached_property
    def surest_by_term(self) -> Sequence[float]:
        """How certainly the words of each term name the image that they name most certainly, 0 to 1."""
        every = [self.naming_by_term(has) for has in set(self.found.images.values())]
        return [max(of_term) for of_term in zip(*every, strict=True)] or [0.0] * len(self.terms)

    def distinctive(self, words: frozenset[str]) -> frozenset[str]:
        """Those of `words` that at most half of the images have; all of them if there are none."""
        return frozenset(word for word in words if 2 * self.found.known[word] <= self.found.of) or words

    @cached_property
    def _alone(self) -> Mapping[frozenset[str], "TextMatches"]:
        """For the words of each term the images that share them, as if nothing else were asked for."""
        return {words: TextMatches(self._found_by(words), [TermWords(words, 1.0)]) for words in {term.words for term in self.terms}}

    def _found_by(self, words: frozenset[str]) -> Found:
        images = {image: has & words for image, has in self.found.images.items()}
        return Found(images, {word: self.found.known[word] for word in words}, self.found.of)

    @cached_property
    def _importance(self) -> Mapping[str, float]:
        """For each word that of its text, the largest one if it is in several."""
        return {word: max(term.importance for term in self.terms if word in term.words) for word in self.found.known}

    @cached_property
    def _coverages(self) -> Mapping[str, float]:
        every = {image: self._coverage(has) for image, has in self.found.images.items()}
        return {image: share for image, share in every.items() if share >= MIN_COVERAGE}

    def _coverage(self, has: frozenset[str]) -> float:
        """The share of the query's information that is in the words `has`."""
        if self.only:
            return 1.0
        return round(sum(map(self._information.__getitem__, has)) / self._total, 6) if self._total > 0 else 0.0

    @cached_property
    def _total(self) -> float:
        return sum(self._information.values())

    @property
    def is_cut(self) -> bool:
        """Whether more images may have all the words than were looked up."""
        return self.only and len(self.found.images) >= MAX_MATCHES_ALONE

    @cached_property
    def standing_alone(self) -> frozenset[str]:
        """The images that are hits by their words alone, however distant their vectors are."""
        return frozenset(image for image in self.coverages if self.only or self.score(image) > 1 / (RRF_K + FUSED_HITS))

    def score(self, image: str) -> float:
        """The part of the fused score that comes from the ranking by words."""
        return TEXT_WEIGHT * self.certainty(image) ** CERTAINTY_POWER / (RRF_K + self._standings[self.coverages[image]].rank)

    def joined(self, images: Iterable[str]) -> "TextMatches":
        """These matches and further `images`, which have all the words."""
        return self._of(dict.fromkeys(images, frozenset(self.found.known)) | dict(self.found.images))

    def without(self, images: frozenset[str]) -> "TextMatches":
        return self._of({image: has for image, has in self.found.images.items() if image not in images})

    def _of(self, images: Mapping[str, frozenset[str]]) -> "TextMatches":
        return replace(self, found=replace(self.found, images=images))

    def fused(self, ranked: Sequence[str], scores: Mapping[str, float]) -> list[str]:
        """Return the ids of the fused ranking.

        `ranked` is the beginning of the ranking by vectors, with at least FUSED_HITS ids if there are that many. `scores` are by
        vectors, for these ids and `standing_alone`. They decide between equal matches, so that the order does not depend on how far
        the ranking was read.
        """
        nearest = {image: 1 / (RRF_K + rank) for rank, image in enumerate(ranked[:FUSED_HITS], start=1)}
        matching = [image for image in self.coverages if image in nearest or (image in self.standing_alone and image in scores)]
        worth = ({} if self.only else nearest) | {image: self.score(image) + nearest.get(image, 0.0) for image in matching}
        head = sorted(worth, key=lambda image: (-worth[image], -round(scores[image], SCORE_DIGITS), image))
        return head if self.only else head + [image for image in ranked[FUSED_HITS:] if image not in worth]

    def _certainty(self, coverage: float) -> float:
        return coverage * self._rarity(self._standings[coverage].images)

    def _rarity(self, images: int) -> float:
        """How well a match that `images` images share distinguishes them: 1 for a single image, 0 for all images."""
        of = max(self.found.of, images + 1)
        return log(of / images) / log(of)

    @cached_property
    def _information(self) -> Mapping[str, float]:
        """The information in each word of the query, in nats, in the measure of its importance."""
        return {
            word: self._importance[word]
            * log(max(self.found.of, images, 2) / max(images, 1))
            * (1 if images or _has_digit(word) else ABSENT_WORD)
            for word, images in self.found.known.items()
        }

    @cached_property
    def _standings(self) -> Mapping[float, Standing]:
        """The standing of each coverage."""
        standings: dict[float, Standing] = {}
        for place, coverage in enumerate(sorted(self._coverages.values(), reverse=True), start=1):
            first = standings[coverage].rank if coverage in standings else place
            standings[coverage] = Standing(first, place)
        return standings


def _has_digit(word: str) -> bool:
    return any(map(str.isdigit, word))
