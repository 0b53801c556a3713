"""The parameters and answers of groups, diversity, sorting and facets, which arrange the hits of a search."""

from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from ml_api.api.schemas.base import Answer
from ml_api.api.schemas.filters import as_pydantic
from ml_api.api.schemas.images import ID_PATTERN, Links
from ml_api.errors import InvalidQuery
from ml_api.search.arrangement import Sort
from ml_api.search.facets import COUNTED_HITS, MAX_FACETS, MAX_VALUES
from ml_api.search.grouping import DUPLICATES, Grouping
from ml_api.search.ranges import MAX_RANGES
from ml_api.search.sorting import SORTED
from ml_api.vectors.filters import Field as MetadataField
from ml_api.vectors.filters import field_of
from ml_api.wording import legible

DESCENDING: Final = "-"
MAX_GROUPED = 10
"""The most images of a group that are shown beside the hit that leads it."""


def grouping_of(name: str) -> Grouping:
    """Parse the parameter `group`. Raises InvalidQuery."""
    return DUPLICATES if name == DUPLICATES else _shared_field(name, "group")


def facets_of(names: Sequence[str]) -> tuple[MetadataField, ...]:
    """Parse the names in the parameter `facets`. Raises InvalidQuery."""
    if len(names) > MAX_FACETS:
        raise InvalidQuery(f"facets: names {len(names):,} fields; at most {MAX_FACETS} are counted")
    fields = [_shared_field(name, f"facets[{place}]") for place, name in enumerate(names)]
    for place, field in enumerate(fields):
        if field in fields[:place]:  # under another spelling, too: `price` and `/price`
            raise InvalidQuery(f"facets[{place}]: {legible(names[place])} was given before; give it once")
    return tuple(fields)


def sort_of(name: str) -> Sort:
    """Parse the parameter `sort`. Raises InvalidQuery."""
    bare = name.removeprefix(DESCENDING)
    if not bare:
        raise InvalidQuery(f"sort: names no field; name one as in filters, such as price, or {DESCENDING}price to descend")
    return Sort(field_of(bare, "sort"), descending=bare != name)


def _shared_field(name: str, where: str) -> MetadataField:
    """Parse the name of a field whose value several images may share. Raises InvalidQuery."""
    if not name:
        raise InvalidQuery(f"{where}: is empty; name a field of the metadata, width or height")
    field = field_of(name, where)
    if field.built_in in {"key", "indexed_at"}:
        raise InvalidQuery(f"{where}: {name} is another one for each image; name a field of the metadata, width or height")
    return field


def _group(name: str | None) -> str | None:
    if name is not None:
        with as_pydantic():
            grouping_of(name)
    return name


def _sort(name: str | None) -> str | None:
    if name is not None:
        with as_pydantic():
            sort_of(name)
    return name


def _facet_names(names: list[str] | None) -> list[str] | None:
    with as_pydantic():
        facets_of(names or ())
    return names


def _facets_text(text: str | None) -> str | None:
    with as_pydantic():
        facets_of(names_in(text))
    return text


def names_in(text: str | None) -> list[str]:
    return [] if text is None else [name.strip() for name in text.split(",")]


GroupName = Annotated[
    str | None,
    Field(
        description=f"Show one hit of each group: `{DUPLICATES}` puts equal and near-identical pictures together, the name of a "
        "field, as in filters, images with the same value. `limit`, `offset` and `next` then count groups.",
        examples=[DUPLICATES],
    ),
    AfterValidator(_group),
]
Diversity = Annotated[
    float,
    Field(
        ge=0,
        le=1,
        description="How much unlike hits are preferred among the best 100 (maximal marginal relevance). 0 leaves the order as it "
        "is; else hits are not sorted by score.",
        examples=[0],
    ),
]
SortName = Annotated[
    str | None,
    Field(
        description=f"A field, named as in filters, by whose values hits are sorted; with `{DESCENDING}` before it, in descending "
        f"order. These are the best {SORTED} hits that pass the filter and the thresholds; no others follow. Hits without a value "
        "come last. Not with `diversity`.",
        examples=["price"],
    ),
    AfterValidator(_sort),
]
_FACETS: Final = (
    f"Fields, named as in filters, whose values are counted over the best {COUNTED_HITS} hits, with `group` over their groups: "
    f"{MAX_FACETS} fields at most, and of each the {MAX_VALUES} most frequent values, and ranges of its numbers."
)
FacetsText = Annotated[
    str | None,
    Field(description=f"{_FACETS} Names are separated by commas, after which spaces may stand."),
    AfterValidator(_facets_text),
]
FacetsList = Annotated[list[str] | None, Field(description=_FACETS), AfterValidator(_facet_names)]


class GroupedImage(Answer):
    id: Annotated[str, Field(pattern=ID_PATTERN)]
    key: str
    width: int
    height: int
    score: float
    links: Links


class GroupAnswer(Answer):
    size: Annotated[
        int, Field(description="Images of the group, this hit among them, as far as the ranking was read: there may be more.")
    ]
    hits: Annotated[list[GroupedImage], Field(description=f"The others, best first; {MAX_GROUPED} at most.")]


class FacetValue(Answer):
    value: str | bool | int | float
    count: Annotated[int, Field(description="Hits that have it; with `group`, groups. Of lists, their elements.")]


class NumberRange(Answer):
    """Numbers of a field, with bounds as in a filter: `{"price": {"gte": 20, "lt": 50}}`."""

    gte: Annotated[float | None, Field(description="Null for no lower bound.")]
    lt: Annotated[float | None, Field(description="Null for no upper bound.")]
    count: Annotated[int, Field(description="Hits with a number in it; with `group`, groups.")]


class FacetNumbers(Answer):
    least: float
    most: float
    ranges: Annotated[
        list[NumberRange],
        Field(description=f"{MAX_RANGES} at most, ascending, between round numbers, with about equally many hits."),
    ]


class FacetsAnswer(Answer):
    over: Annotated[int, Field(description="How many of the best hits were counted; with `group`, how many groups they are.")]
    fields: Annotated[dict[str, list[FacetValue]], Field(description="By field, the most frequent values first.")]
    numbers: Annotated[dict[str, FacetNumbers], Field(default={}, description="By field, of those that hold numbers.")]
