"""Defines a filter as a tree of conditions. Filters are frozen and hashable, so that searches with equal filters can share calls.

Logic is two-valued: an image without the field fulfils no condition on it, and so fulfils the negation of each.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

Kind = Literal["text", "number", "flag"]

Operator = Literal["eq", "lt", "lte", "gt", "gte", "prefix", "in", "any", "all", "exists"]
"""`ne` is the negation of `eq`."""

BuiltIn = Literal["key", "width", "height", "indexed_at"]

BUILT_IN: Final[tuple[BuiltIn, ...]] = ("key", "width", "height", "indexed_at")
"""Fields of every image that are not metadata."""


class Scalar(NamedTuple):
    """A JSON value with its kind, as 1 and true are equal in Python, and so in its sets and caches."""

    kind: Kind
    value: str | float | bool


@dataclass(frozen=True, slots=True)
class Field:
    """One of BUILT_IN, or the metadata field at `path`, the names of nested objects."""

    path: tuple[str, ...] = ()
    built_in: BuiltIn | None = None

    @property
    def name(self) -> str:
        """The field's name in filters: `maker.city`, or a JSON Pointer (RFC 6901) where that would mean another field."""
        if self.built_in is not None:
            return self.built_in
        plain = ".".join(self.path)
        if all(self.path) and not plain.startswith("/") and not any("." in part for part in self.path) and plain not in RESERVED:
            return plain
        return "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in self.path)


RESERVED: Final = frozenset({*BUILT_IN, "and", "or", "not"})
"""Names that do not mean the metadata field of that name."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on one field. `in`, `any` and `all` have one value or more, `exists` none, the others one."""

    field: Field
    operator: Operator
    values: tuple[Scalar, ...] = ()


@dataclass(frozen=True, slots=True)
class All:
    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Either:
    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Negation:
    part: "Filter"


Filter = Condition | All | Either | Negation


def plain(given: Filter) -> dict[str, Any]:
    """The filter as the JSON that `parse` reads."""
    match given:
        case All(parts):
            return {"and": [plain(part) for part in parts]}
        case Either(parts):
            return {"or": [plain(part) for part in parts]}
        case Negation(part):
            return {"not": plain(part)}
        case Condition(field, "exists"):
            return {field.name: {"exists": True}}
        case Condition(field, "in" | "any" | "all" as operator, values):
            return {field.name: {operator: [value.value for value in values]}}
        case Condition(field, operator, (value,)):
            return {field.name: {operator: value.value}}
    raise AssertionError(given)
