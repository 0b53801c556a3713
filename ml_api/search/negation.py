"""Negation in plain words: what a text says is not there becomes a term with a negative weight.

CLIP hardly reads "without": for "a dog without snow" it finds dogs in the snow, as both words stand there. The grammar, of English:

- between: `dog without snow`, `dog with no collar`, `dog but no|not cat`, `dog and no|not cat`, `dog, no|not cat`, `dogs except
  (for) puppies`, `dogs excluding puppies`, `street where there are no cars`, `dog that is not|isn't brown`;
- alone: `not a dog`, `no people`, `without people`, `nobody`, `there is no dog`, `this is not a dog`;
- several: `beach without people or boats`, `beach, no people, no boats`;
- what follows a place is wanted again: `a dog without a collar in the snow` is `a dog in the snow` less `a collar`.

Anything else is taken as it stands, and so is what only looks like a negation: `not only dogs`, a sign that says `no parking`.
"""

import re
from collections.abc import Sequence
from typing import Final

from ml_api.search.query import Reading, TextTerm, Weighted

UNWANTED: Final = -0.5
"""Weight of what is not wanted, beside 1 for what is: found by `python -m demo.negation`."""
MAX_UNWANTED: Final = 8
"""A text with more of them is no search in plain words."""

_NO: Final = r"(?:no|not)(?!\s+(?:only|just|even|one\b))"
_IS_NOT: Final = r"(?:is|are)(?:\s+not|n['\u2019]t)"
_THERE: Final = r"there\s+(?:is|are)\s+no"
_BETWEEN: Final = re.compile(
    rf"(?:,\s*|\s+)(?:without|with\s+no|(?:but|and)\s+{_NO}|(?:where\s+)?{_THERE}|(?:that|which|who)\s+{_IS_NOT}"
    rf"|except(?:\s+for)?|excluding)\s+|,\s*{_NO}\s+",
    re.IGNORECASE,
)
_ALONE: Final = re.compile(rf"\s*(?:{_NO}|without|{_THERE}|(?:it|this|that|these|they)\s+{_IS_NOT})\s+", re.IGNORECASE)
_NOBODY: Final = re.compile(r"\b(?:(?:with\s+)?nobody|(?:with\s+)?no[\s-]one)\b", re.IGNORECASE)
_SIGN: Final = re.compile(
    r"\bsigns?\b|\bsymbols?\b|\bno\s+(?:entry|parking|smoking|stopping|swimming|trespassing|exit|more)\b", re.IGNORECASE
)
_PLACE: Final = re.compile(
    r"\s+(?:in|on|at|under|near|behind|beside|above|below|next\s+to|in\s+front\s+of|during|by)\s+", re.IGNORECASE
)
_OR: Final = re.compile(r"\s+(?:or|nor)\s+", re.IGNORECASE)
_ANY: Final = re.compile(r"any\s+", re.IGNORECASE)


def read_negations(text: str) -> tuple[Weighted, ...]:
    """The terms of a search by `text`: itself, where nothing in it is negated."""
    literal = (Weighted(TextTerm(text)),)
    if _SIGN.search(text):
        return literal
    plain = _NOBODY.sub(lambda found: "with no people" if found[0].lower().startswith("with") else "no people", text)
    alone = _ALONE.match(plain)
    wanted, *others = _BETWEEN.split(plain[alone.end() :] if alone else plain)
    if alone:
        wanted, others = "", [wanted, *others]
    unwanted: list[str] = []
    for other in others:
        what, place, where = _parted(other)
        wanted += place + where
        unwanted += [_ANY.sub("", one.strip(" ,.;"), count=1) for one in _OR.split(what)]
    unwanted = [one for one in unwanted if one]
    if not 0 < len(unwanted) <= MAX_UNWANTED:
        return literal
    return (*_weighted([wanted.strip(" ,.;")], 1.0), *_weighted(unwanted, UNWANTED))


def reading_of(sent: Sequence[Weighted]) -> Reading:
    """Return these terms with the negations in their texts read. A term that is not wanted (a weight of 0 or below), and one that
    is no text, stands as it is.
    """
    return Reading(tuple(sent), tuple(map(_parts, sent)))


def _parts(sent: Weighted) -> tuple[Weighted, ...]:
    if sent.weight <= 0 or not isinstance(sent.term, TextTerm):
        return (sent,)
    read = read_negations(sent.term.text)
    return (sent,) if read == (Weighted(sent.term),) else tuple(Weighted(one.term, one.weight * sent.weight) for one in read)


def _parted(text: str) -> tuple[str, str, str]:
    """What is not wanted, and the place that follows it."""
    place = _PLACE.search(text)
    return (text, "", "") if place is None else (text[: place.start()], place[0], text[place.end() :])


def _weighted(texts: Sequence[str], weight: float) -> list[Weighted]:
    return [Weighted(TextTerm(text), weight) for text in texts if text]
