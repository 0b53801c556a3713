"""Evaluates filters on records, and so defines what they mean: every store returns the records for which `holds` is true.

Numbers compare as numbers (5 equals 5.0) and texts by their code points, with nothing normalised; values of different kinds are
never equal and never ordered; true and false are not numbers. A list equals what one of its elements equals. A field that is
missing or null fulfils no condition.
"""

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from ml_api.records import ImageRecord
from ml_api.vectors.filters.tree import All, Condition, Either, Field, Filter, Kind, Negation, Scalar

MAX_DEPTH: Final = 4
"""Levels of nested objects whose members are told apart as fields."""

Test = Callable[[Any], bool]
"""Tests the value that a record has in a field; None if it has none."""

_KINDS: Final[Mapping[type, Kind]] = {str: "text", int: "number", float: "number", bool: "flag"}
_ORDER: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
}


def scalar(value: Any) -> Scalar | None:
    """The value as a Scalar; None if it is no text, number or flag."""
    kind = _KINDS.get(type(value))
    return None if kind is None else Scalar(kind, value)


def at(metadata: Any, path: tuple[str, ...]) -> Any:
    """The value at a path through objects; None if there is none."""
    for part in path:
        if not isinstance(metadata, Mapping):
            return None
        metadata = metadata.get(part)
    return metadata


def leaves(metadata: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield the fields of metadata, by their names in filters, with their values. Fields that are null are left out; an object
    counts as a value only below MAX_DEPTH levels of objects.
    """
    for name, value in metadata.items():
        inside = (*path, name)
        if isinstance(value, Mapping) and len(inside) < MAX_DEPTH:
            yield from leaves(value, inside)
        elif value is not None:
            yield Field(inside).name, value


def value_of(record: ImageRecord, field: Field) -> Any:
    return getattr(record, field.built_in) if field.built_in is not None else at(record.metadata, field.path)


def holds(condition: Filter, record: ImageRecord) -> bool:
    """Whether the record fulfils the filter."""
    match condition:
        case Condition(field):
            return test_of(condition)(value_of(record, field))
        case All(parts):
            return all(holds(part, record) for part in parts)
        case Either(parts):
            return any(holds(part, record) for part in parts)
        case Negation(part):
            return not holds(part, record)


def test_of(condition: Condition) -> Test:
    """The test of a condition, to be applied to a field's value."""
    values = condition.values
    match condition.operator:
        case "exists":
            return lambda value: value is not None
        case "eq" | "in":
            among = frozenset(values)
            return lambda value: any(scalar(one) in among for one in value) if isinstance(value, list) else scalar(value) in among
        case "any":
            among = frozenset(values)
            return lambda value: isinstance(value, list) and any(scalar(item) in among for item in value)
        case "all":
            needed = frozenset(values)
            return lambda value: isinstance(value, list) and needed <= {scalar(item) for item in value}
        case "prefix":
            beginning = str(values[0].value)
            return lambda value: isinstance(value, str) and value.startswith(beginning)
        case order:
            [(kind, bound)], compare = values, _ORDER[order]
            return lambda value: _KINDS.get(type(value)) == kind and compare(value, bound)
