"""Phrases that people could search a corpus for, made of its metadata and names, and the images that match them.

A phrase is a run of words between function words, or two such runs with what joins them: "brown dogs", "dogs in the snow". An image
is taken for a match of a phrase if all words of the phrase stand in what is said of it, whatever their order; and for a match of
another image if much the same is said of both.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise
from math import log
from typing import Any, Final

import numpy as np

from ml_api.records import ImageRecord
from ml_api.texts.words import FUNCTION_WORDS, stem

MAX_TEXT: Final = 300
"""Characters of a text of the metadata that are read."""
ALIKE: Final = 0.3
"""The words of two images are much the same from this share in common on."""
MOST_SAID: Final = 0.2
"""Share of the images above which a word tells nothing."""

_WORD: Final = re.compile(r"[^\W_]+")
_CODE: Final = re.compile(r"(?=.*\d)(?=.*[^\W\d_]).{4,}")
"""Letters and digits in one word, as in article numbers and UUIDs, which describe no picture."""


def texts_of(record: ImageRecord) -> Iterator[str]:
    """The words of an image: texts of its metadata, its name and its folders."""
    yield from _texts(record.metadata)
    for part in record.key.rpartition(".")[0].split("/"):
        yield " ".join(word for word in _WORD.findall(part) if not word.isdigit())


def _texts(metadata: Mapping[str, Any]) -> Iterator[str]:
    for value in metadata.values():
        some = value if isinstance(value, list) else [value]
        yield from (text[:MAX_TEXT] for text in some if isinstance(text, str) and _is_said(text))


def _is_said(text: str) -> bool:
    """Neither an address nor a number, such as that of a product, which is text in CSV."""
    return "://" not in text and any(map(str.isalpha, text))


def phrases(text: str) -> list[str]:
    """The text itself, if it has words enough, and the phrases in it, without codes."""
    words = [word for word in _WORD.findall(text.lower()) if not _CODE.fullmatch(word)]
    runs = list(_runs(words))
    found = []
    for number, (start, end) in enumerate(runs):
        last = runs[number + 1][1] if number + 1 < len(runs) else end
        for first in range(start, end):
            found.append(" ".join(words[first:end]))
            if last > end:
                found.append(" ".join(words[first:last]))
    return list(dict.fromkeys([*found, " ".join(words)] if runs else []))


def _runs(words: list[str]) -> Iterator[tuple[int, int]]:
    """The longest runs without function words, as slices."""
    breaks = [-1, *(place for place, word in enumerate(words) if word in FUNCTION_WORDS), len(words)]
    return ((before + 1, after) for before, after in pairwise(breaks) if after > before + 1)


def content_words(texts: Iterable[str]) -> frozenset[str]:
    """Without function words, plurals as singulars: "dogs" matches a dog."""
    return frozenset(stem(word) for text in texts for word in _WORD.findall(text.lower()) if word not in FUNCTION_WORDS)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an image must be said to be, to match a query, in content words."""

    all_of: frozenset[str] = frozenset()
    none_of: frozenset[str] = field(default=frozenset(), kw_only=True)
    """Not all of these; none are no condition."""
    like: frozenset[str] = field(default=frozenset(), kw_only=True)
    """Much the same as these: what is said of an image that is a term; none are no condition."""
    itself: str = field(default="", kw_only=True)
    """The id of that image, which is no answer."""

    def allows(self, image_id: str, said: frozenset[str]) -> bool:
        """All but `like`."""
        return self.all_of <= said and not (self.none_of and self.none_of <= said) and image_id != self.itself


class Rarity:
    """The weight of a word: 0 if a single image has it, or more than MOST_SAID of them (Sparck Jones 1972)."""

    def __init__(self, images: Sequence[frozenset[str]]) -> None:
        """`images` are the content words of some images, drawn at random."""
        said = Counter(word for words in images for word in words)
        self._of = {word: log(len(images) / number) for word, number in said.items() if 1 < number <= MOST_SAID * len(images)}

    def __getitem__(self, word: str) -> float:
        return self._of.get(word, 0.0)

    def sum(self, words: Iterable[str]) -> float:
        return sum(map(self.__getitem__, words))


class Matching:
    """Collects, image by image, which of some queries each image is a match of: `most` of a query, and one more if there are
    more, so that a large corpus takes no more memory than a small one.
    """

    def __init__(self, wanted: Sequence[Wanted], most: int, rarity: Rarity | None = None) -> None:
        """`rarity` weighs what images have in common; without it nothing is like an image."""
        self._wanted = wanted
        self._most = most
        self._rarity = rarity or Rarity([])
        self._by_word: dict[str, list[int]] = defaultdict(list)
        self._like: dict[str, list[int]] = defaultdict(list)
        for number, one in enumerate(wanted):
            for word in one.like:
                if self._rarity[word]:
                    self._like[word].append(number)
            for word in () if one.like else sorted(one.all_of)[:1]:  # one word of each is enough to find it by
                self._by_word[word].append(number)
        self._sizes = np.array([self._rarity.sum(one.like) for one in wanted])
        self.matches: list[set[str]] = [set() for _ in wanted]
        """The ids of images, by query."""

    def look_at(self, record: ImageRecord) -> None:
        said = content_words(texts_of(record))
        for number in chain(self._alike(said), *(self._by_word.get(word, ()) for word in said)):
            if self._wanted[number].allows(record.id, said) and len(self.matches[number]) <= self._most:
                self.matches[number].add(record.id)

    def _alike(self, said: frozenset[str]) -> Sequence[int]:
        """Queries by images whose words are much the same: at least ALIKE in common (Jaccard, weighted by rarity)."""
        shared = np.zeros(len(self._wanted))
        for word in said & self._like.keys():
            shared[self._like[word]] += self._rarity[word]
        if not shared.any():
            return ()
        together = self._sizes + self._rarity.sum(said) - shared
        found: list[int] = np.flatnonzero((shared > 0) & (shared >= ALIKE * together)).tolist()
        return found
