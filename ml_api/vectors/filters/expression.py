"""A filter as an expression of a Milvus server: the whole of it, or what all of its rows fulfil and others may as well.

No text of a client's stands in an expression but in quotes of ours, with quotes, backslashes and control characters escaped. What
a server cannot say, or might understand otherwise, is left out, so that the rest lets more rows through, never fewer; whoever asks
then tests the rows by `predicate`. As tried on server 2.3.5 (docs/decisions/0066-filters.md).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from ml_api.vectors.filters.columns import AFTER_TEXTS, FIRST_TEXT, NO_NUMBER, Columns, marked
from ml_api.vectors.filters.tree import All, Condition, Either, Field, Filter, Negation, Scalar

MAX_EXACT: Final = 2**53
"""From here on whole numbers and the floating-point numbers of JSON differ, and so do servers and Python in comparing them."""

NO_COLUMNS: Final[Mapping[Field, Columns]] = MappingProxyType({})
OF_COLUMNS: Final = frozenset({"eq", "in", "lt", "lte", "gt", "gte", "prefix"})
"""Operators that columns are asked by; lists and what merely exists stand in the metadata alone."""
_ORDER: Final = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_BAD_NAME: Final = re.compile(r"[\[\]\x00-\x1f\x7f]|^$")
"""Names that a server takes apart wrongly, or not at all."""
_ESCAPED: Final = re.compile(r'["\\\x00-\x1f\x7f]')
_LAST: Final = chr(0x10FFFF)


@dataclass(frozen=True, slots=True)
class Expression:
    text: str
    """Empty if it lets all rows through."""
    whole: bool
    """Whether its rows are exactly those of the filter."""


def expression(wanted: Filter, columns: Mapping[Field, Columns] = NO_COLUMNS) -> Expression:
    """`columns` are of the fields that have some."""
    return _compiled(wanted, columns, negated=False)


def _compiled(wanted: Filter, columns: Mapping[Field, Columns], *, negated: bool) -> Expression:
    match wanted:
        case Condition():
            if wanted.field in columns and wanted.operator in OF_COLUMNS and all(map(_comparable, wanted.values)):
                text = _in_columns(wanted, columns[wanted.field])
                return Expression(f"not ({text})" if negated else text, whole=True)
            return _negated_condition(wanted) if negated else _condition(wanted)
        case Negation(part):
            return _compiled(part, columns, negated=not negated)
        case All(parts) | Either(parts):
            compiled = [_compiled(part, columns, negated=negated) for part in parts]
            both = isinstance(wanted, All) is not negated
            whole = all(part.whole for part in compiled)
            texts = [part.text for part in compiled if part.text]
            if not both and len(texts) < len(compiled):
                return Expression("", whole)
            return Expression(_joined(texts, "and" if both else "or"), whole)


def _joined(texts: Sequence[str], word: str) -> str:
    """In halves: a chain of a hundred would be nested deeper than a server reads."""
    if len(texts) < 2:
        return "".join(texts)
    half = len(texts) // 2
    return f"({_joined(texts[:half], word)} {word} {_joined(texts[half:], word)})"


def _condition(condition: Condition) -> Expression:
    place = _place(condition.field)
    if place is None or not all(map(_comparable, condition.values)):
        return Expression("", whole=False)
    if condition.operator == "exists":
        return Expression(f"(exists {place})", whole=False)  # which a null does for a server
    return Expression(_comparison(condition, place), whole=True)


def _negated_condition(condition: Condition) -> Expression:
    place = _place(condition.field)
    if place is None or not all(map(_comparable, condition.values)):
        return Expression("", whole=False)
    if condition.operator == "exists":  # what is no text, number or flag may be null
        return Expression(f'not ({place} >= "" or ({place} > -1.0 or {place} <= -1.0) or {place} in [true, false])', whole=False)
    return Expression(f"not ({_comparison(condition, place)})", whole=True)


def _comparison(condition: Condition, place: str) -> str:
    values = condition.values
    match condition.operator:
        case "eq" | "in":
            return _joined([f"{place} in [{', '.join(map(_literal, some))}]" for some in _by_kind(condition.field, values)], "or")
        case "any":
            return f"json_contains_any({place}, [{', '.join(map(_literal, _floats(values)))}])"
        case "all":
            return f"json_contains_all({place}, [{', '.join(map(_literal, _floats(values)))}])"
        case "prefix":
            return _begins(place, str(values[0].value))
        case order:
            return f"{place} {_ORDER[order]} {_literal(values[0])}"


def _in_columns(condition: Condition, columns: Columns) -> str:
    values = condition.values
    match condition.operator:
        case "eq" | "in":
            numbers = [_literal(value) for value in _floats(values) if value.kind == "number"]
            texts = [_quoted(marked(value)) for value in values if value.kind != "number"]
            among = ((columns.number, numbers), (columns.text, texts))
            return _joined([f"{column} in [{', '.join(some)}]" for column, some in among if some], "or")
        case "prefix":
            return _begins(columns.text, marked(values[0]))
        case order if values[0].kind == "number":
            [bound] = _floats(values)
            present = f" and {columns.number} > {NO_NUMBER!r}" if order in {"lt", "lte"} else ""
            return f"({columns.number} {_ORDER[order]} {_literal(bound)}{present})"
        case order:
            edge = f'{columns.text} >= "{FIRST_TEXT}"' if order in {"lt", "lte"} else f'{columns.text} < "{AFTER_TEXTS}"'
            return f"({columns.text} {_ORDER[order]} {_quoted(marked(values[0]))} and {edge})"


def _begins(place: str, beginning: str) -> str:
    """As a range: `like` has no way to mean % itself. UTF-8 is ordered as code points are."""
    above = beginning.rstrip(_LAST)
    if not above:
        return f"{place} >= {_quoted(beginning)}"
    following = chr(0xE000) if above[-1] == "\ud7ff" else chr(ord(above[-1]) + 1)
    return f"({place} >= {_quoted(beginning)} and {place} < {_quoted(above[:-1] + following)})"


def _by_kind(field: Field, values: Sequence[Scalar]) -> list[Sequence[Scalar]]:
    """A server compares lists of one type only. In metadata 5.0 stands for 5, too; columns of integers take no 5.0."""
    kinds = {kind: [value for value in values if value.kind == kind] for kind in ("text", "number", "flag")}
    if field.built_in is None:
        kinds["number"] = _floats(kinds["number"])
    return [some for some in kinds.values() if some]


def _floats(values: Sequence[Scalar]) -> list[Scalar]:
    return [Scalar("number", float(value)) if kind == "number" else Scalar(kind, value) for kind, value in values]


def _place(field: Field) -> str | None:
    if field.built_in is not None:
        return field.built_in
    if any(_BAD_NAME.search(part) for part in field.path) or field.path[0].startswith("$"):
        return None
    return "metadata" + "".join(f"[{_quoted(part)}]" for part in field.path)


def _comparable(value: Scalar) -> bool:
    return value.kind != "number" or abs(value.value) < MAX_EXACT  # type: ignore[arg-type]  # of a number


def _literal(value: Scalar) -> str:
    match value.kind:
        case "text":
            return _quoted(str(value.value))
        case "flag":
            return "true" if value.value else "false"
        case "number":
            return repr(value.value)


def _quoted(text: str) -> str:
    return '"' + _ESCAPED.sub(lambda found: _escape(found.group()), text) + '"'


def _escape(character: str) -> str:
    return f"\\{character}" if character in '"\\' else f"\\u{ord(character):04x}"
