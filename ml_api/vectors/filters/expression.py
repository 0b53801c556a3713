"""Compiles a filter to an expression for a Milvus server: an equivalent one, or a weaker one that all matching rows fulfil.

A client's text appears in an expression only as a quoted literal, with quotes, backslashes and control characters escaped.
Conditions that a server cannot express, or might interpret differently, are left out, so that more rows pass, never fewer; the
caller then tests the rows by `predicate`. Determined with server 2.3.5 (docs/decisions/0066-filters.md).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from ml_api.vectors.filters.columns import AFTER_TEXTS, FIRST_TEXT, LIST, NO_NUMBER, Columns, marked
from ml_api.vectors.filters.tree import All, Condition, Either, Field, Filter, Negation, Scalar

MAX_EXACT: Final = 2**53
"""From here on floats cannot represent every integer, and servers and Python compare numbers differently."""

NO_COLUMNS: Final[Mapping[Field, Columns]] = MappingProxyType({})
OF_COLUMNS: Final = frozenset({"eq", "in", "lt", "lte", "gt", "gte", "prefix"})
"""Operators that are evaluated on columns; those about lists and about existence need the metadata."""
_ORDER: Final = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_BAD_NAME: Final = re.compile(r"[\[\]\x00-\x1f\x7f]|^$")
"""Names that a server parses wrongly, or not at all."""
_ESCAPED: Final = re.compile(r'["\\\x00-\x1f\x7f]')
_LAST: Final = chr(0x10FFFF)


@dataclass(frozen=True, slots=True)
class Expression:
    """A Milvus expression for a filter."""

    text: str
    """"" if all rows pass."""
    whole: bool
    """Whether it is equivalent to the filter; otherwise the rows that pass have to be tested."""


def expression(condition: Filter, columns: Mapping[Field, Columns] = NO_COLUMNS) -> Expression:
    """Compile a filter. `columns` has the columns of the fields that have some."""
    return _compiled(condition, columns, negated=False)


def _compiled(condition: Filter, columns: Mapping[Field, Columns], *, negated: bool) -> Expression:
    match condition:
        case Condition(field, _, values):
            if field in columns and _is_of_columns(condition) and all(map(_comparable, values)):
                text = _in_columns(condition, columns[field])
                return Expression(f"not ({text})" if negated else text, whole=True)
            return _negated_condition(condition) if negated else _condition(condition)
        case Negation(part):
            return _compiled(part, columns, negated=not negated)
        case All(parts) | Either(parts):
            compiled = [_compiled(part, columns, negated=negated) for part in parts]
            both = isinstance(condition, All) is not negated
            whole = all(part.whole for part in compiled)
            texts = [part.text for part in compiled if part.text]
            if not both and len(texts) < len(compiled):
                return Expression("", whole)
            return Expression(_joined(texts, "and" if both else "or"), whole)


def _is_of_columns(condition: Condition) -> bool:
    """Whether its columns are enough; for equality a server must also be able to search the field's lists, in the metadata."""
    return condition.operator in OF_COLUMNS and (condition.operator not in {"eq", "in"} or _place(condition.field) is not None)


def _joined(texts: Sequence[str], word: str) -> str:
    """Join expressions, in a balanced tree: a chain of a hundred would be nested deeper than a server parses."""
    if len(texts) < 2:
        return "".join(texts)
    half = len(texts) // 2
    return f"({_joined(texts[:half], word)} {word} {_joined(texts[half:], word)})"


def _condition(condition: Condition) -> Expression:
    place = _place(condition.field)
    if place is None or not all(map(_comparable, condition.values)):
        return Expression("", whole=False)
    if condition.operator == "exists":
        return Expression(f"(exists {place})", whole=False)  # for a server, a null exists, too
    return Expression(_comparison(condition, place), whole=True)


def _negated_condition(condition: Condition) -> Expression:
    place = _place(condition.field)
    if place is None or not all(map(_comparable, condition.values)):
        return Expression("", whole=False)
    if condition.operator == "exists":  # a value that is no text, number or flag may be null
        return Expression(f'not ({place} >= "" or ({place} > -1.0 or {place} <= -1.0) or {place} in [true, false])', whole=False)
    return Expression(f"not ({_comparison(condition, place)})", whole=True)


def _comparison(condition: Condition, place: str) -> str:
    values = condition.values
    match condition.operator:
        case "eq" | "in":
            groups = _by_kind(condition.field, values)
            equal = [f"{place} in [{', '.join(map(_literal, group))}]" for group in groups]
            return _joined(equal if condition.field.built_in else [*equal, _in_lists(place, values)], "or")
        case "any":
            return _in_lists(place, values)
        case "all":
            return f"json_contains_all({place}, [{', '.join(map(_literal, _floats(values)))}])"
        case "prefix":
            return _begins(place, str(values[0].value))
        case order:
            return f"{place} {_ORDER[order]} {_literal(values[0])}"


def _in_lists(place: str, values: Sequence[Scalar]) -> str:
    return f"json_contains_any({place}, [{', '.join(map(_literal, _floats(values)))}])"


def _in_columns(condition: Condition, columns: Columns) -> str:
    values = condition.values
    match condition.operator:
        case "eq" | "in":
            numbers = [_literal(value) for value in _floats(values) if value.kind == "number"]
            texts = [_quoted(marked(value)) for value in values if value.kind != "number"]
            among = ((columns.number, numbers), (columns.text, texts))
            equal = [f"{column} in [{', '.join(literals)}]" for column, literals in among if literals]
            place = _place(condition.field)
            assert place is not None  # `_is_of_columns`
            # A server asks the metadata only where some row has a list.
            return _joined([*equal, f"({columns.text} == {_quoted(LIST)} and {_in_lists(place, values)})"], "or")
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
    """A prefix condition as a range: `like` cannot escape %. UTF-8 is in the order of code points."""
    above = beginning.rstrip(_LAST)
    if not above:
        return f"{place} >= {_quoted(beginning)}"
    following = chr(0xE000) if above[-1] == "\ud7ff" else chr(ord(above[-1]) + 1)
    return f"({place} >= {_quoted(beginning)} and {place} < {_quoted(above[:-1] + following)})"


def _by_kind(field: Field, values: Sequence[Scalar]) -> list[Sequence[Scalar]]:
    """The values grouped by kind, as a server compares with lists of one type only. In metadata numbers compare as floats; columns
    of integers accept no floats."""
    kinds = {kind: [value for value in values if value.kind == kind] for kind in ("text", "number", "flag")}
    if field.built_in is None:
        kinds["number"] = _floats(kinds["number"])
    return [group for group in kinds.values() if group]


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
    return '"' + _ESCAPED.sub(lambda match: _escape(match.group()), text) + '"'


def _escape(character: str) -> str:
    return f"\\{character}" if character in '"\\' else f"\\u{ord(character):04x}"
