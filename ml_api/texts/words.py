"""The words by which an image is found: of its key and metadata, and of what somebody searches for, cut up by the same rules.

The rules are ours, so that SQLite and PostgreSQL find the same, and so that a match can be proved on the record itself: letters are
compared without case and accents (NFD or NFC alike; ø is o, ß is ss), words cut at their boundaries to digits (`IMG1234` is
`img` and `1234`), and what hyphens and underscores join is also one word (`SKU-4711-B` is found by `4711`, `sku4711` and
`SKU-4711-B`). Scripts without spaces are cut into pairs of characters, as Lucene's CJKAnalyzer does it.
"""

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from ml_api.records import ImageRecord
from ml_api.vectors.filters import leaves

ANALYSIS: Final = 2
"""The version of the rules: rows that were written by others are written again."""
MAX_CHARS: Final = 4000
"""Characters of a text that are read."""
MAX_WORDS: Final = 1000
"""Words of an image that are kept."""
MAX_WORD: Final = 64
"""Longest word; longer runs of characters are no words."""
MAX_PIECES: Final = 6
"""Pieces of a run that are told apart; in more, such as in a digest in hex, there are no words and numbers."""
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
"""Latin letters that Unicode does not decompose, as keyboards without them write them (Lucene's ASCIIFoldingFilter)."""


class _Letters(dict[int, str | None]):
    """What becomes of each character, found out when it first comes: letters, digits and marks stay, accents go, joints are `-`,
    all else is a space."""

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
_BOUNDARY: Final = re.compile(r"(?<=\d)(?=[^\d-])|(?<=[^\d-])(?=\d)")
_UNSPACED: Final = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\U00020000-\U0003ffff]+"
)
"""Thai, Lao, Burmese, Khmer, Japanese, Chinese, Korean."""


def folded(text: str) -> str:
    """Letters, digits and marks in their plain form, with `-` where words are joined and spaces between all else."""
    plain = unicodedata.normalize("NFKD", text[:MAX_CHARS]).casefold()
    return unicodedata.normalize("NFC", plain.translate(_LETTERS))


def words_of(text: str) -> set[str]:
    """All words by which an image with this text is found."""
    return {word for run in _runs(text) for word in _every(run) if len(word) <= MAX_WORD}


def wanted_words(text: str) -> list[str]:
    """The words of a search, each once: an image that has them all has all that is asked for. Function words count only if there
    are no others.
    """
    found = dict.fromkeys(word for run in _runs(text) for word in _asked(run) if len(word) <= MAX_WORD)
    telling = [word for word in found if word not in FUNCTION_WORDS and not (len(word) == 1 and word.isascii() and word.isalpha())]
    return telling or list(found)


def _runs(text: str) -> Iterator[list[str]]:
    """The runs of characters between spaces, each in pieces."""
    for run in folded(text).split():
        parts = [part for part in run.split("-") if part]
        pieces = [piece for part in parts for piece in _pieces(part)]
        if pieces:
            yield pieces if len(pieces) <= MAX_PIECES else parts[:MAX_PIECES]


def _pieces(part: str) -> list[str]:
    found = _BOUNDARY.split(part)
    return found if len(found) <= MAX_PIECES // 2 else [part]


def _every(pieces: list[str]) -> Iterator[str]:
    """The words of one run in a text: each piece, and neighbours joined where one of them is a number."""
    for first, piece in enumerate(pieces):
        yield from _stems(piece)
        joined = piece
        for other in pieces[first + 1 :]:
            joined += other
            if not joined.isalpha():
                yield joined


def _asked(pieces: list[str]) -> Iterator[str]:
    for piece in pieces:
        yield from _stems(piece, alone=False)
    joined = "".join(pieces)
    if len(pieces) > 1 and not joined.isalpha():
        yield joined


def _stems(piece: str, *, alone: bool = True) -> Iterator[str]:
    """Plurals as singulars; of scripts without spaces pairs of characters, and with `alone` single characters as well."""
    start = 0
    for found in _UNSPACED.finditer(piece):
        if found.start() > start:
            yield stem(piece[start : found.start()])
        characters = found[0]
        if alone or len(characters) == 1:
            yield from characters
        yield from (first + second for first, second in pairwise(characters))
        start = found.end()
    if start < len(piece):
        yield stem(piece[start:])


def stem(word: str) -> str:
    """Plurals as singulars: "dogs" is said of a dog."""
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def said_of(record: ImageRecord) -> dict[str, set[str]]:
    """The words of an image by where they stand: `key`, or the name of a metadata field as in filters."""
    found: dict[str, set[str]] = {KEY: words_of(record.key)}
    for name, value in leaves(record.metadata):
        words: set[str] = set()
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, str) and "://" not in one:
                words |= words_of(one)
            elif isinstance(one, int) and not isinstance(one, bool):
                words |= words_of(str(one))
        if words:
            found[name] = words
    return found


def all_words(record: ImageRecord) -> list[str]:
    """The words of an image, sorted: MAX_WORDS at most, those of the key before others."""
    found = dict.fromkeys(word for words in said_of(record).values() for word in sorted(words))
    return sorted(list(found)[:MAX_WORDS])
