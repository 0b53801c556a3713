"""Texts that somebody could search a corpus for, made of what its metadata and names say, and which images they are about.

A phrase is a run of words between function words, or two such runs with what joins them: "brown dogs", "dogs in the snow". An image
is taken for a match of a phrase if all words of the phrase stand in what is said of it, whatever their order.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

from ml_api.records import ImageRecord

MAX_TEXT: Final = 300
"""Characters of a text of the metadata that are read."""

_FUNCTION_WORDS: Final = """
a an and are as at beside above below behind between by for from has have her his in into is it its near next no not of off on or
over some that the their there these they this those to under up was were which while with without
jpg jpeg png webp gif tif tiff heic avif http https www
"""
FUNCTION_WORDS: Final = frozenset(_FUNCTION_WORDS.split())
_WORD: Final = re.compile(r"[^\W_]+")


def texts_of(record: ImageRecord) -> Iterator[str]:
    """What is said of an image in words: texts of its metadata, and its name and folders."""
    yield from _texts(record.metadata)
    for part in record.key.rpartition(".")[0].split("/"):
        yield " ".join(word for word in _WORD.findall(part) if not word.isdigit())


def _texts(metadata: Mapping[str, Any]) -> Iterator[str]:
    for value in metadata.values():
        some = value if isinstance(value, list) else [value]
        yield from (text[:MAX_TEXT] for text in some if isinstance(text, str) and "://" not in text)


def phrases(text: str) -> list[str]:
    """The text itself, if it has words enough, and the phrases in it."""
    words = _WORD.findall(text.lower())
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
    """Without function words, plurals as singulars: "dogs" is said of a dog."""
    return frozenset(_stem(word) for text in texts for word in _WORD.findall(text.lower()) if word not in FUNCTION_WORDS)


def _stem(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


class Matching:
    """Collects, image by image, which of some phrases each image is a match of: `most` of a phrase, and one more if there are
    more, so that a large corpus takes no more memory than a small one.
    """

    def __init__(self, wanted: Iterable[str], most: int) -> None:
        self._most = most
        self._words = {phrase: content_words([phrase]) for phrase in wanted}
        self._by_word: dict[str, list[str]] = defaultdict(list)
        for phrase, words in self._words.items():
            for word in sorted(words)[:1]:  # one word of each phrase is enough to find it by
                self._by_word[word].append(phrase)
        self.matches: dict[str, set[str]] = {phrase: set() for phrase in self._words}
        """The ids of images, by phrase."""

    def look_at(self, record: ImageRecord) -> None:
        said = content_words(texts_of(record))
        for word in said:
            for phrase in self._by_word.get(word, ()):
                if self._words[phrase] <= said and len(self.matches[phrase]) <= self._most:
                    self.matches[phrase].add(record.id)
