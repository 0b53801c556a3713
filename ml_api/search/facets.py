"""Counts facets: how many of the best hits have each value of a field. Used by `search.pages`."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from heapq import nsmallest
from typing import Any, Final

from ml_api.errors import InvalidQuery
from ml_api.records import Hit
from ml_api.search.fields import MAX_VALUE_CHARS, Overview
from ml_api.search.ranges import Numbers, numbers_of
from ml_api.vectors.filters import Field, Scalar, scalar, value_of
from ml_api.wording import legible

COUNTED_HITS: Final = 200
"""How many of the first hits of a ranking are counted; reading one costs the store about 20 us."""
MAX_FACETS: Final = 10
MAX_VALUES: Final = 20
"""How many of the most frequent values of a field are returned."""
_SHOWN: Final = 20
"""The most names of fields in an error message."""


@dataclass(frozen=True, slots=True)
class Facets:
    over: int
    """How many hits, or groups, were counted."""
    fields: Mapping[str, list[tuple[str | bool | float, int]]]
    """By name of the field: values with the number of hits, or groups, that have them, the most frequent first."""
    numbers: Mapping[str, Numbers]
    """By name of each field that has numbers in some hit."""


def counted(groups: Sequence[Sequence[Hit]], fields: Sequence[Field]) -> Facets:
    """Count the values of the hits, each a group of its own, or of their groups."""
    frequent: dict[str, list[tuple[str | bool | float, int]]] = {}
    numbers: dict[str, Numbers] = {}
    for field in fields:
        frequent[field.name] = _frequent(
            [{one for hit in group for one in _values(value_of(hit.record, field))} for group in groups]
        )
        if (found := numbers_of([_numbers(group, field) for group in groups])) is not None:
            numbers[field.name] = found
    return Facets(len(groups), frequent, numbers)


def _frequent(values: Sequence[AbstractSet[Scalar]]) -> list[tuple[str | bool | float, int]]:
    counts = Counter(value for ours in values for value in ours)
    best = nsmallest(MAX_VALUES, counts.items(), key=lambda pair: (-pair[1], str(pair[0].value)))
    return [(scalar.value, count) for scalar, count in best]


def _numbers(group: Sequence[Hit], field: Field) -> set[float]:
    """The numbers of a group, without those in lists: filters compare none of these with bounds."""
    values = (scalar(value_of(hit.record, field)) for hit in group)
    return {float(value.value) for value in values if value is not None and value.kind == "number"}


def _values(value: Any) -> Iterator[Scalar]:
    """Yield the values to count: of a list, its elements. Texts over MAX_VALUE_CHARS are descriptions, and are left out."""
    for element in value if isinstance(value, list) else [value]:
        candidate = scalar(element)
        if candidate is not None and not (candidate.kind == "text" and len(str(candidate.value)) > MAX_VALUE_CHARS):
            yield candidate


def require_known(field: Field, overview: Overview, where: str) -> None:
    """Raise InvalidQuery if no image of the overview has the field. Called for a field that no hit has."""
    if field.built_in is not None or field.name in overview.fields or not (overview.over and overview.has_all_fields):
        return
    names = list(overview.fields)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    known = f"the fields are {', '.join(map(legible, names[:_SHOWN]))}{more}" if names else "the images have no metadata"
    raise InvalidQuery(f"{where}: no image is known to have the field {field.name[:100]!r}; {known}")
