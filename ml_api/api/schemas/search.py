"""The requests of searches by one term, and the parameters of pages of results."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from ml_api.api.schemas.arrangement import (
    Diversity,
    FacetsList,
    FacetsText,
    GroupName,
    SortName,
    names_in,
)
from ml_api.api.schemas.base import Request, whole
from ml_api.api.schemas.filters import FilterObject, FilterText
from ml_api.search.cursor import MAX_CURSOR_CHARS
from ml_api.search.query import MAX_DEPTH
from ml_api.vectors.filters import Filter, parse, parse_text
from ml_api.vocabulary import MatchMode

MAX_LIMIT = 100
MAX_QUERY_CHARS = 1000
RED_SQUARE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAFUlEQVR42mM8oaHBgA0wMeAAg1MCAOA4ASjhBhuDAAAAAElFTkSuQmCC"
)
"""An image small enough for an example in the documentation."""


def encodable(text: str) -> str:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("holds a lone surrogate, which is not a character; send valid Unicode")
    return text


def not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("is blank; describe what the images should show")
    return text.strip()


class PageRequest(Request):
    """Which part of a ranking to return, and how to arrange it."""

    limit: Annotated[
        int,
        Field(ge=1, le=MAX_LIMIT, description="How many images to return.", examples=[10]),
        BeforeValidator(whole),
    ] = 10
    offset: Annotated[
        int,
        Field(ge=0, le=MAX_DEPTH, description="How many of the best to skip.", examples=[0]),
        BeforeValidator(whole),
    ] = 0
    cursor: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=MAX_CURSOR_CHARS,
            description="Of a page after the first: `next_cursor` of the one before, sent with the same search, the image included "
            "if there is one; `limit`, `explain` and `facets` may change. Not with `offset`.",
        ),
    ] = None
    exact: Annotated[
        bool,
        Field(
            description="Compare with every stored vector instead of asking the index, which may miss some. Takes time in "
            "proportion to the collection: seconds for 100,000 images.",
            examples=[False],
        ),
    ] = False
    min_score: Annotated[float | None, Field(ge=-4, le=1, description="Leave out hits with a lower `score`.")] = None
    min_relevance: Annotated[
        float | None,
        Field(
            ge=0,
            le=1,
            description="Leave out hits with a lower `relevance`. A page may then hold fewer than `limit`; the ranking ends where "
            "none of a page is left, unless words had found some of it. Without effect where `relevance` is null.",
        ),
    ] = None
    group: GroupName = None
    diversity: Diversity = 0.0
    sort: SortName = None

    @field_validator("sort")
    @classmethod
    def _not_with_diversity(cls, sort: str | None, info: ValidationInfo) -> str | None:
        if sort is not None and info.data.get("diversity"):
            raise ValueError("cannot be combined with diversity, which has an order of its own; send one of them")
        return sort

    @field_validator("cursor")
    @classmethod
    def _not_with_an_offset(cls, cursor: str | None, info: ValidationInfo) -> str | None:
        if cursor is not None and info.data.get("offset"):
            raise ValueError("cannot be combined with offset, as it says by itself what to skip; send one of them")
        return cursor


class PageParameters(PageRequest):
    """In a query string."""

    filter: FilterText = None
    facets: FacetsText = None

    @property
    def wanted(self) -> Filter | None:
        return None if self.filter is None else parse_text(self.filter)

    @property
    def facet_names(self) -> list[str]:
        return names_in(self.facets)


class PageBody(PageRequest):
    """In JSON."""

    filter: FilterObject = None
    facets: FacetsList = None

    @property
    def wanted(self) -> Filter | None:
        return None if self.filter is None else parse(self.filter)

    @property
    def facet_names(self) -> list[str]:
        return self.facets or []


MatchBy = Annotated[
    MatchMode,
    Field(
        description="What images are searched by. `auto`: by their vectors, and where the words of the text stand in their names "
        "or metadata and tell them from others, by these as well. `vector`: by vectors alone. `text`: only images in whose names "
        "and metadata all the words stand; where more than 1,000 have them, not all are found, but the nearest are.",
        examples=["auto"],
    ),
]


class Described(Request):
    q: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MAX_QUERY_CHARS,
            description="What the images should show, in natural language. It has no operators.",
            examples=["two dogs playing in the snow"],
        ),
        AfterValidator(encodable),
        AfterValidator(not_blank),
    ]


Negation = Annotated[
    bool,
    Field(
        description="Whether `dog without snow`, `not a dog` and the like are read as what is not wanted (`read_as`). If false, "
        "the model is given the text as it stands, and models hardly know the word `not`.",
        examples=[True],
    ),
]


class _Text(Described):
    negation: Negation = True
    match: MatchBy = "auto"


class TextParameters(_Text, PageParameters):
    """In a query string."""


class TextQuery(_Text, PageBody):
    """In JSON."""


class ImageQuery(Request):
    image: Annotated[
        str,
        Field(
            min_length=1,
            description="The image file in base64, bare or as a `data:image/...;base64,` URI. URLs are not fetched.",
            examples=[RED_SQUARE],
        ),
    ]
