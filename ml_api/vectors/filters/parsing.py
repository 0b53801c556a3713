"""Parses filters from JSON, with limits of depth and size. Errors name the field, the mistake, and what would be right."""

import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, cast

from ml_api.errors import InvalidQuery
from ml_api.vectors.filters.predicate import scalar
from ml_api.vectors.filters.tree import BUILT_IN, All, Condition, Either, Field, Filter, Negation, Operator, Scalar
from ml_api.wording import got, legible, no_json

MAX_DEPTH: Final = 10
"""Levels of `and`, `or` and `not`."""
MAX_CONDITIONS: Final = 100
MAX_VALUES: Final = 1000
"""Values in all lists together."""
MAX_CHARS: Final = 4096
"""Characters of a name or a text."""
MAX_LEVELS: Final = 8
"""Levels of objects in a field's name."""
MAX_BYTES: Final = 64 * 1024
"""Bytes of a filter as text."""

_ORDERED: Final = ("lt", "lte", "gt", "gte")
_OF_SCALARS: Final = ("eq", "ne", *_ORDERED, "in", "exists", "prefix")
_OPERATORS: Final = (*_OF_SCALARS, "any", "all")
_OF_BUILT_IN: Final[Mapping[str, tuple[str, ...]]] = {
    "key": ("eq", "ne", *_ORDERED, "in", "prefix"),
    "width": ("eq", "ne", *_ORDERED, "in"),
    "height": ("eq", "ne", *_ORDERED, "in"),
    "indexed_at": ("eq", "ne", *_ORDERED),
}


def parse(given: Any, where: str = "filter") -> Filter | None:
    """Parse a JSON value; None for an empty filter. Raises InvalidQuery, which calls the value `where`."""
    return _Parsing().all_of(given, where, 1)


def parse_text(text: str, where: str = "filter") -> Filter | None:
    """Parse JSON text. Raises InvalidQuery."""
    if len(text) > MAX_BYTES:
        raise InvalidQuery(f"{where}: has {len(text):,} characters; at most {MAX_BYTES:,} are read")
    try:
        given = json.loads(text, object_pairs_hook=_once_each(where))
    except RecursionError:
        raise InvalidQuery(_too_deep(where)) from None
    except ValueError as exc:
        raise InvalidQuery(f'{where}: {no_json(exc)}; send an object such as {{"price": {{"lt": 20}}}}') from exc
    return parse(given, where)


def field_of(name: str, where: str) -> Field:
    """The field that a filter or a facet calls `name`. Raises InvalidQuery."""
    _check_text(name, where)
    if name in BUILT_IN:
        return Field(built_in=name)
    if name.startswith("/"):
        path = tuple(part.replace("~1", "/").replace("~0", "~") for part in name[1:].split("/"))
    else:
        path = tuple(name.split("."))
        if not all(path):
            raise InvalidQuery(
                f"{where}: a name leads through objects by single dots, as in `maker.city`; a name that holds dots itself is "
                "written as a JSON Pointer, as in `/dc.title`"
            )
    if len(path) > MAX_LEVELS:
        raise InvalidQuery(f"{where}: leads through {len(path)} levels of objects; at most {MAX_LEVELS} are followed")
    return Field(path)


class _Parsing:
    """The parsing of one filter, which counts its conditions and values."""

    def __init__(self) -> None:
        self._conditions = 0
        self._values = 0

    def all_of(self, given: Any, where: str, depth: int) -> Filter | None:
        if not isinstance(given, dict):
            raise InvalidQuery(f'{where}: must be an object of fields, such as {{"price": {{"lt": 20}}}}{got(given)}')
        if depth > MAX_DEPTH:
            raise InvalidQuery(_too_deep(where))
        parts: list[Filter] = []
        for name, what in given.items():
            inside = f"{where}.{legible(name)}"
            if name in {"and", "or"}:
                together = self._several(what, inside, depth)
                parts.append(All(together) if name == "and" else Either(together))
            elif name == "not":
                parts.append(Negation(self._something(what, inside, depth)))
            else:
                parts += self._conditions_on(name, what, inside)
        if not parts:
            return None
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _several(self, given: Any, where: str, depth: int) -> tuple[Filter, ...]:
        if not isinstance(given, list) or not given:
            raise InvalidQuery(f"{where}: must be an array of at least one filter{got(given)}")
        if len(given) > MAX_CONDITIONS:
            raise InvalidQuery(_too_many(where))
        return tuple(self._something(part, f"{where}[{place}]", depth) for place, part in enumerate(given))

    def _something(self, given: Any, where: str, depth: int) -> Filter:
        parsed = self.all_of(given, where, depth + 1)
        if parsed is None:
            raise InvalidQuery(f"{where}: is empty; name at least one field")
        return parsed

    def _conditions_on(self, name: str, what: Any, where: str) -> list[Filter]:
        field = field_of(name, where)
        if not isinstance(what, dict):
            return [self._condition(field, "eq", what, where)]
        if not what:
            raise InvalidQuery(f'{where}: is empty; say what it must be, such as {{"eq": "red"}}')
        known = _OF_BUILT_IN[field.built_in] if field.built_in else _OPERATORS
        if (unknown := next((operator for operator in what if operator not in known), None)) is not None:
            within = "" if field.built_in else f", and a field within it is named as in `{field.name[:100]}.city`"
            raise InvalidQuery(
                f"{where}: {unknown[:100]!r} is not an operator here; the operators are {', '.join(known)}{legible(within, None)}"
            )
        return [self._condition(field, operator, value, f"{where}.{operator}") for operator, value in what.items()]

    def _condition(self, field: Field, operator: str, value: Any, inside: str) -> Filter:
        """`inside` is the place of the value."""
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            raise InvalidQuery(_too_many(inside))
        if operator == "exists":
            if not isinstance(value, bool):
                raise InvalidQuery(f"{inside}: must be true or false{got(value)}")
            present = Condition(field, "exists")
            return present if value else Negation(present)
        if operator in {"in", "any", "all"}:
            listed = enumerate(self._listed(value, inside))
            scalars = tuple(_scalar(field, item, f"{inside}[{place}]", operator) for place, item in listed)
        else:
            scalars = (_scalar(field, value, inside, operator),)
        if operator == "ne":
            return Negation(Condition(field, "eq", scalars))
        return Condition(field, cast(Operator, operator), scalars)

    def _listed(self, value: Any, where: str) -> list[Any]:
        if not isinstance(value, list) or not value:
            raise InvalidQuery(f"{where}: must be an array of at least one value{got(value)}")
        self._values += len(value)
        if self._values > MAX_VALUES:
            raise InvalidQuery(f"{where}: makes more than {MAX_VALUES:,} values in all lists of the filter; send fewer")
        return value


def _scalar(field: Field, value: Any, where: str, operator: str) -> Scalar:
    """The value of a condition. Raises InvalidQuery if the operator cannot compare the field with it."""
    if field.built_in is not None:
        return _READ[field.built_in](value, where)
    parsed = scalar(value)
    if parsed is None:
        hint = '; for what is missing ask {"exists": false}' if value is None else ""
        if isinstance(value, list) and operator == "eq":
            hint = '; one of several is asked for by {"in": [...]}, a range by {"gte": 20, "lt": 80}'
        raise InvalidQuery(f"{where}: must be a text, a number, true or false{hint}{got(value)}")
    if operator == "prefix" and parsed.kind != "text":
        raise InvalidQuery(f"{where}: must be a text, with which the field's begins{got(value)}")
    if operator in _ORDERED and parsed.kind == "flag":
        raise InvalidQuery(f"{where}: must be a number or a text; true and false have no order")
    if parsed.kind == "text":
        _check_text(str(value), where)
    if parsed.kind == "number":
        _check_number(value, where)
    return parsed


def _text(value: Any, where: str) -> Scalar:
    if not isinstance(value, str):
        raise InvalidQuery(f"{where}: must be a text, as keys are{got(value)}")
    _check_text(value, where)
    return Scalar("text", value)


def _pixels(value: Any, where: str) -> Scalar:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidQuery(f"{where}: must be a whole number of pixels{got(value)}")
    _check_number(value, where)
    return Scalar("number", value)


def _moment(value: Any, where: str) -> Scalar:
    """Seconds since the epoch, from a number or a time in ISO 8601, which is in UTC if it has no offset."""
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            return Scalar("number", (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
        if isinstance(value, int | float) and not isinstance(value, bool):
            _check_number(value, where)
            return Scalar("number", float(value))
    except (ValueError, OverflowError):
        pass
    raise InvalidQuery(f"{where}: must be a time in ISO 8601, such as 2026-11-27T10:00:00Z, or seconds since 1970{got(value)}")


_READ: Final[Mapping[str, Callable[[Any, str], Scalar]]] = {
    "key": _text,
    "width": _pixels,
    "height": _pixels,
    "indexed_at": _moment,
}


def _check_text(text: str, where: str) -> None:
    if len(text) > MAX_CHARS:
        raise InvalidQuery(f"{where}: has {len(text):,} characters; at most {MAX_CHARS:,} are allowed")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidQuery(f"{where}: holds a lone surrogate, which is not a character; send valid Unicode")


def _check_number(value: float, where: str) -> None:
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise InvalidQuery(f"{where}: is an integer of more than 64 bits, which no metadata hold")
    if not math.isfinite(value):
        raise InvalidQuery(f"{where}: must be a finite number")


def _once_each(where: str) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    """A hook for objects that refuses repeated names: Python would use the last value, other parsers the first (RFC 8259, 4)."""

    def pairs(given: list[tuple[str, Any]]) -> dict[str, Any]:
        read: dict[str, Any] = {}
        for name, value in given:
            if name in read:
                raise InvalidQuery(f"{where}: {legible(name)} was given twice in one object; use `and` for several conditions")
            read[name] = value
        return read

    return pairs


def _too_deep(where: str) -> str:
    return f"{where[:200]}: is nested too deeply; at most {MAX_DEPTH} levels of and, or and not are read"


def _too_many(where: str) -> str:
    return f"{where[:200]}: makes more than {MAX_CONDITIONS} conditions in the filter; for many values use `in` or `any`"
