"""Cuts the key and the metadata of an image, and the text of a query, into words by the same rules.

The databases' own rules are not used, so that SQLite and PostgreSQL find the same, and so that a match can be verified on the
record itself. Letters are compared without case and accents (NFD or NFC alike; ø is o, ß is ss). Words are cut between letters and
digits (`IMG1234` is `img` and `1234`), and words joined by hyphens and underscores also count as one (`SKU-4711-B` is found by
`4711`, `sku4711` and `SKU-4711-B`). Scripts without spaces are cut into pairs of characters, as Lucene's CJKAnalyzer does.
"""

import re
import unicodedata
from collections.abc import Iterator
from itertools import chain, pairwise
from typing import Final

from ml_api.records import ImageRecord
from ml_api.vectors.filters import leaves

ANALYSIS: Final = 4
"""The version of the rules: rows written by another version are written again."""
MAX_CHARS: Final = 4000
"""Characters of a text that are read; the rest is ignored."""
MAX_WORDS: Final = 1000
"""Words of an image that are indexed."""
MAX_WORD: Final = 64
"""Characters of the longest word; longer runs are not indexed."""
MAX_PIECES: Final = 6
"""Pieces that are joined, at most."""
MAX_CUT: Final = 3
"""Pieces of what stands between two hyphens, at most: what falls into more, such as a digest, is not made of words and numbers, and
is not cut."""
KEY: Final = "key"

_FUNCTION_WORDS: Final = """
a an and are as at beside above below behind between by for from has have her his in into is it its near next no not of off on or
over some that the their there these they this those to under up was were which while with without
jpg jpeg png webp gif tif tiff heic avif http https www
"""
FUNCTION_WORDS: Final = frozenset(_FUNCTION_WORDS.split())
_PLAIN: Final = {
    "\u00e6": "ae",
    "\u00f0": "d",
    "\u00f8": "o",
    "\u00fe": "th",
    "\u0111": "d",
    "\u0127": "h",
    "\u0131": "i",
    "\u0142": "l",
    "\u0153": "oe",
    "\u0167": "t",
}
"""ASCII spellings of Latin letters that Unicode does not decompose (Lucene's ASCIIFoldingFilter)."""


class _Letters(dict[int, str | None]):
    """A table for `str.translate`, filled on demand: letters, digits and marks stay, accents are removed, hyphens and underscores
    become `-`, all else becomes a space."""

    def __missing__(self, code: int) -> str | None:
        character = chr(code)
        kind = unicodedata.category(character)[0]
        if 0x300 <= code <= 0x36F:
            self[code] = None
        elif character in "-_\u2010\u2011":
            self[code] = "-"
        else:
            self[code] = _PLAIN.get(character, character) if kind in "LNM" else " "
        return self[code]


_LETTERS: Final = _Letters()
_PARTS: Final = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?![^-])|[^-]+")
"""UUIDs, and what else stands between hyphens."""
_BOUNDARY: Final = re.compile(r"(?<=\d)(?=[^\d-])|(?<=[^\d-])(?=\d)")
_UNSPACED: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\U00020000-\U0003ffff]+"
)
"""Runs of scripts that are cut into pairs: Thai, Lao, Burmese, Khmer, Japanese, Chinese, Korean."""


def folded(text: str) -> str:
    """Normalise a text to plain letters, digits and marks, with `-` where words are joined and spaces elsewhere."""
    plain = unicodedata.normalize("NFKD", text[:MAX_CHARS]).casefold()
    return unicodedata.normalize("NFC", plain.translate(_LETTERS))


def words_of(text: str) -> set[str]:
    """All words by which an image with this text is found."""
    return {word for run in _runs(text) for word in _indexed(run) if len(word) <= MAX_WORD}


def query_words(text: str) -> list[str]:
    """The words of a query's text, each once: an image matches the whole text if it has all of them. Function words and single
    letters count only if there are no others.
    """
    words = dict.fromkeys(word for run in _runs(text) for word in _queried(run) if len(word) <= MAX_WORD)
    telling = [word for word in words if word not in FUNCTION_WORDS and not (len(word) == 1 and word.isascii() and word.isalpha())]
    return telling or list(words)


def _runs(text: str) -> Iterator[list[list[str]]]:
    """Yield for each run of characters between spaces the pieces of each part between hyphens."""
    for run in folded(text).split():
        parts = [pieces for part in _PARTS.finditer(run) for pieces in _pieces(part)]
        if parts:
            yield parts


def _pieces(part: re.Match[str]) -> list[list[str]]:
    """The pieces of the part, or of each part of a UUID, which are not cut."""
    if part[1]:
        return [[group] for group in part[1].split("-")]
    pieces = _BOUNDARY.split(part[0])
    return [pieces if len(pieces) <= MAX_CUT else [part[0]]]


def _indexed(parts: list[list[str]]) -> Iterator[str]:
    """The words of a run that are indexed: each piece, and joined neighbours where one of them is a number."""
    pieces = list(chain.from_iterable(parts))
    for first, piece in enumerate(pieces):
        yield from _stems(piece)
        joined = piece
        for other in pieces[first + 1 : first + MAX_PIECES]:
            joined += other
            if not joined.isalpha():
                yield joined


def _queried(parts: list[list[str]]) -> Iterator[str]:
    """The words of a run that a query needs: each piece and, where one is a number, all joined or, if they are many, those of each
    part.
    """
    pieces = list(chain.from_iterable(parts))
    for piece in pieces:
        yield from _stems(piece, alone=False)
    for together in [pieces] if len(pieces) <= MAX_PIECES else parts:
        joined = "".join(together)
        if len(together) > 1 and not joined.isalpha():
            yield joined


def _stems(piece: str, *, alone: bool = True) -> Iterator[str]:
    """The piece with plurals as singulars; of scripts without spaces pairs of characters, and with `alone` single ones as well."""
    start = 0
    for match in _UNSPACED.finditer(piece):
        if match.start() > start:
            yield stem(piece[start : match.start()])
        characters = match[0]
        if alone or len(characters) == 1:
            yield from characters
        yield from (first + second for first, second in pairwise(characters))
        start = match.end()
    if start < len(piece):
        yield stem(piece[start:])


def stem(word: str) -> str:
    """The singular of an English plural: "dogs" is "dog"."""
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def words_by_field(record: ImageRecord) -> dict[str, set[str]]:
    """The words of an image by field: `key`, or the name of a metadata field as in filters."""
    fields: dict[str, set[str]] = {KEY: words_of(record.key)}
    for name, value in leaves(record.metadata):
        words: set[str] = set()
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, str) and "://" not in item:
                words |= words_of(item)
            elif isinstance(item, int) and not isinstance(item, bool):
                words |= words_of(str(item))
        if words:
            fields[name] = words
    return fields


def all_words(record: ImageRecord) -> list[str]:
    """The words of an image, sorted; at most MAX_WORDS, those of the key preferred."""
    unique = dict.fromkeys(word for words in words_by_field(record).values() for word in sorted(words))
    return sorted(list(unique)[:MAX_WORDS])
