"""Facets: how many of the best hits have which values of a field."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from typing import Any, Final

from ml_api.errors import InvalidQuery
from ml_api.records import Hit
from ml_api.search.fields import MAX_VALUE_CHARS, Overview
from ml_api.vectors.filters import Field, Scalar, scalar, value_of
from ml_api.wording import legible

COUNTED_HITS: Final = 200
"""The first hits of a ranking, whose values are counted: each costs the store some 20 us."""
MAX_FACETS: Final = 10
MAX_VALUES: Final = 20
"""The most frequent values of a field are told."""
_SHOWN: Final = 20
"""Names of fields in a message."""


@dataclass(frozen=True, slots=True)
class Facets:
    over: int
    """How many hits were counted."""
    fields: Mapping[str, list[tuple[str | bool | float, int]]]
    """By name of the field: values with the number of hits that have them, the most frequent first."""


def counted(hits: Sequence[Hit], fields: Sequence[Field]) -> Facets:
    return Facets(len(hits), {field.name: _frequent(hits, field) for field in fields})


def _frequent(hits: Sequence[Hit], field: Field) -> list[tuple[str | bool | float, int]]:
    values = Counter(value for hit in hits for value in set(_values(value_of(hit.record, field))))
    best = nsmallest(MAX_VALUES, values.items(), key=lambda one: (-one[1], str(one[0].value)))
    return [(scalar.value, count) for scalar, count in best]


def _values(value: Any) -> Iterator[Scalar]:
    """A list counts by its elements. Long texts are descriptions, and count as no value."""
    for one in value if isinstance(value, list) else [value]:
        found = scalar(one)
        if found is not None and not (found.kind == "text" and len(str(found.value)) > MAX_VALUE_CHARS):
            yield found


def require_known(field: Field, overview: Overview, where: str) -> None:
    """For a field that no hit has: raises InvalidQuery if no image is known to have it."""
    if field.built_in is not None or field.name in overview.fields or not overview.over:
        return
    names = list(overview.fields)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    known = f"the fields are {', '.join(map(legible, names[:_SHOWN]))}{more}" if names else "the images have no metadata"
    raise InvalidQuery(f"{where}: no image is known to have the field {field.name[:100]!r}; {known}")
