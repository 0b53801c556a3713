"""The type of each field of a metadata file: one for all of its rows.

In CSV all is text. A column is of the narrowest type that loses the fewest of its values, and one in a hundred at most; those are
reported and left out of their rows. Otherwise it is text. JSON has types, and the same rule says which one a field has.

Fields that may name the image (`rows.KEYS`) lose nothing: the product 1.10 is not 1.1. In CSV they are text.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any

from ml_api.corpus.metadata.rows import is_key

LOST_AT_MOST = 0.01
"""Share of a field's values that may be of another type."""

WORTH_TELLING = 0.5
"""From this share of values on, those that keep a column from having their type are named."""

EXAMPLES = 3
MAX_FIELDS = 1000
"""Fields whose types are found out; those of further ones stay as they are."""

_KINDS = re.compile(
    r"(?P<integer>-?(?:0|[1-9]\d{0,18}))"  # 007 is no number: codes that begin with zeros would lose them
    r"|(?P<number>-?(?:0|[1-9]\d*)?\.\d+(?:e[+-]?\d+)?|-?[1-9]\d*e[+-]\d+)"
    r"|(?P<boolean>true|false)"
    r"|(?P<date>\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d)?)?)",
    re.ASCII | re.IGNORECASE,
)

_DECIMAL_COMMA = re.compile(r"\s*-?(?:\d*|[1-9]\d{0,2}(?:\.\d{3})+),\d+\s*", re.ASCII)
"""A number with a decimal comma, and perhaps with a point after each thousand."""


class FieldType(StrEnum):
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    """A date, or date and time, as text in ISO 8601; times with an offset in UTC."""
    TEXT = "text"
    LIST = "list"
    OBJECT = "object"
    MIXED = "mixed"
    """JSON values of several types."""


HELD: Mapping[FieldType, frozenset[FieldType]] = {
    FieldType.INTEGER: frozenset({FieldType.INTEGER}),
    FieldType.NUMBER: frozenset({FieldType.INTEGER, FieldType.NUMBER}),
    FieldType.BOOLEAN: frozenset({FieldType.BOOLEAN}),
    FieldType.DATE: frozenset({FieldType.DATE}),
}
"""What a field of a type takes, narrower types first."""

OF_JSON: Mapping[FieldType, frozenset[FieldType]] = {
    kind: HELD[kind] for kind in (FieldType.INTEGER, FieldType.NUMBER, FieldType.BOOLEAN)
} | {kind: frozenset({kind}) for kind in (FieldType.TEXT, FieldType.LIST, FieldType.OBJECT)}


_KINDS_OF_JSON = {
    bool: FieldType.BOOLEAN,
    int: FieldType.INTEGER,
    float: FieldType.NUMBER,
    str: FieldType.TEXT,
    list: FieldType.LIST,
    dict: FieldType.OBJECT,
}


class Fields:
    """The fields of one file. `note` every row, then ask for `types`, `problems` and typed rows."""

    def __init__(self, *, textual: bool, decimal_commas: bool = False) -> None:
        """`textual` says that values are text to be understood, as in CSV; `decimal_commas`, that `12,90` may be a number there."""
        self._textual = textual
        self._decimal_commas = decimal_commas
        self._tallies: dict[str, _Tally] = {}
        self._decided: dict[str, tuple[FieldType, frozenset[FieldType]]] = {}

    def note(self, number: int, row: Mapping[str, Any]) -> None:
        for name, value in row.items():
            tally = self._tallies.get(name)
            if tally is None:
                if len(self._tallies) == MAX_FIELDS:
                    continue
                tally = self._tallies[name] = _Tally()
            kind = self._kind_of(name, value)
            if kind is not None:
                tally.add(kind, number, value)

    def decide(self) -> Mapping[str, FieldType]:
        """The types, once all rows were noted. A field without any value is text."""
        self._decided = {name: self._decide(name, tally) for name, tally in self._tallies.items()}
        return {name: kind for name, (kind, _) in self._decided.items()}

    def typed(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The row without values of a wrong type and, of CSV, without empty cells."""
        typed: dict[str, Any] = {}
        for name, value in row.items():
            field_type, taken = self._decided.get(name, (FieldType.MIXED, frozenset()))
            kind = self._kind_of(name, value)
            if kind is None:
                if not self._textual:
                    typed[name] = value
            elif not taken:
                typed[name] = value
            elif kind in taken:
                typed[name] = convert(self._with_point(value), field_type) if self._textual else value
        return typed

    def problems(self, what: str) -> Iterator[str]:
        """Values of a wrong type, with their rows; `what` is what a row is called: line, row."""
        for name, tally in self._tallies.items():
            kind, taken = self._decided[name]
            if taken and tally.others(taken):
                yield f"{tally.rows(taken, what)}: {_shown(name)} is {_worded(kind)} nearly everywhere; these values are left out"
            elif not taken and (nearly := self._nearly(tally)):
                rest = tally.rows(nearly[1], what)
                yield f"{_shown(name)} is taken as {kind}, as not all of its values are {_worded(nearly[0])}: {rest}"

    def _kind_of(self, name: str, value: Any) -> FieldType | None:
        if not self._textual:
            return kind_of_json(value)
        kind = kind_of_text(self._with_point(value))
        return FieldType.TEXT if kind and is_key(name) else kind

    def _with_point(self, text: str) -> str:
        has_comma = self._decimal_commas and _DECIMAL_COMMA.fullmatch(text)
        return text.replace(".", "").replace(",", ".") if has_comma else text

    def _decide(self, name: str, tally: "_Tally") -> tuple[FieldType, frozenset[FieldType]]:
        """The type of a field, and the kinds of values that it takes; none named means all."""
        total = tally.counts.total()
        kinds = HELD if self._textual else OF_JSON
        lost, best = min(((total - tally.number(taken), kind) for kind, taken in kinds.items()), key=lambda found: found[0])
        if total and lost <= (0 if is_key(name) else total * LOST_AT_MOST):
            return best, kinds[best]
        return (FieldType.TEXT if self._textual or not total else FieldType.MIXED), frozenset()

    def _nearly(self, tally: "_Tally") -> tuple[FieldType, frozenset[FieldType]] | None:
        """The type that most of the values have although the field has not got it."""
        kinds = HELD if self._textual else OF_JSON
        kind = max(kinds, key=lambda one: tally.number(kinds[one]))
        return (kind, kinds[kind]) if tally.number(kinds[kind]) > tally.counts.total() * WORTH_TELLING else None


class _Tally:
    """How many values of a field are of which kind, with the first of each."""

    def __init__(self) -> None:
        self.counts = Counter[FieldType]()
        self._first: dict[FieldType, list[tuple[int, Any]]] = {}

    def add(self, kind: FieldType, number: int, value: Any) -> None:
        self.counts[kind] += 1
        if self.counts[kind] <= EXAMPLES:
            self._first.setdefault(kind, []).append((number, _shown(value)))

    def number(self, kinds: frozenset[FieldType]) -> int:
        return sum(self.counts[kind] for kind in kinds)

    def others(self, kinds: frozenset[FieldType]) -> int:
        return self.counts.total() - self.number(kinds)

    def rows(self, kinds: frozenset[FieldType], what: str) -> str:
        """The rows whose values are of other kinds."""
        found = sorted(example for kind, examples in self._first.items() if kind not in kinds for example in examples)[:EXAMPLES]
        more = self.others(kinds) - len(found)
        return ", ".join(f"{what} {number} ({value})" for number, value in found) + (f" and {more:,} more" if more else "")


def kind_of_text(value: str) -> FieldType | None:
    """What the text can be read as; None if it is empty."""
    text = value.strip()
    if not text:
        return None
    match = _KINDS.fullmatch(text)
    if match is None:
        return FieldType.TEXT
    kind, sound = _READ_AS[str(match.lastgroup)]
    try:
        return kind if sound(text) else FieldType.TEXT
    except (ValueError, OverflowError):
        return FieldType.TEXT


def kind_of_json(value: Any) -> FieldType | None:
    """None for null."""
    return _KINDS_OF_JSON.get(type(value))


def convert(text: str, kind: FieldType) -> Any:
    """A text of which `kind_of_text` says that it can be read as this."""
    match kind:
        case FieldType.INTEGER:
            return int(text)
        case FieldType.NUMBER:
            return float(text)
        case FieldType.BOOLEAN:
            return text.strip().lower() == "true"
        case FieldType.DATE:
            return iso(datetime.fromisoformat(text.strip())) if len(text.strip()) > len("2026-11-27") else text.strip()
        case _:
            return text


def iso(moment: datetime) -> str:
    """In UTC if it has an offset, so that texts compare as their times do."""
    if moment.tzinfo is None:
        return moment.isoformat()
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _fits(text: str) -> bool:
    return -(2**63) <= int(text) < 2**63


def _finite(text: str) -> bool:
    return bool(math.isfinite(float(text)))


def _exists(text: str) -> bool:
    if len(text) == len("2026-11-27"):
        date.fromisoformat(text)
    else:
        iso(datetime.fromisoformat(text))
    return True


def _worded(kind: FieldType) -> str:
    return {FieldType.INTEGER: "an integer", FieldType.OBJECT: "an object"}.get(
        kind, kind if kind is FieldType.TEXT else f"a {kind}"
    )


def _shown(value: Any) -> str:
    return repr(value)[:60]


_READ_AS: Mapping[str, tuple[FieldType, Callable[[str], bool]]] = {
    "integer": (FieldType.INTEGER, _fits),
    "number": (FieldType.NUMBER, _finite),
    "boolean": (FieldType.BOOLEAN, bool),
    "date": (FieldType.DATE, _exists),
}
"""By the group of `_KINDS`: the type, and whether the value is one indeed."""
