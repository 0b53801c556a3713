"""Filters in requests, and errors of values that are checked here: each begins with the name of its field."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from ml_api.errors import InvalidQuery
from ml_api.vectors.filters import parse, parse_text

JsonObject = dict[str, Any]

FILTER: Final = (
    "Only images that fulfil this: conditions by field of the metadata, or by `key`, `width`, `height`, `indexed_at`, with eq, ne, "
    "lt, lte, gt, gte, in, any, all, exists, prefix; together with `and`, `or`, `not`."
)
WITHIN: Final = "within"
"""Type of an error whose `detail` begins with the name of its field."""
FILTER_EXAMPLE: Final[JsonObject] = {"price": {"lt": 20}, "tags": {"any": ["red"]}}


@contextmanager
def as_pydantic() -> Iterator[None]:
    """Raise our errors as pydantic's own: only of these it says where in a list they are."""
    try:
        yield
    except InvalidQuery as exc:
        raise PydanticCustomError(WITHIN, "{detail}", {"detail": exc.detail}) from exc


def _filter_text(text: str | None) -> str | None:
    """Checked here, so that what is wrong with it is told beside what is wrong with other fields."""
    if text is not None:
        with as_pydantic():
            parse_text(text)
    return text


def _filter_object(given: JsonObject | None) -> JsonObject | None:
    """As `_filter_text`."""
    if given is not None:
        with as_pydantic():
            parse(given)
    return given


# The example is part of the description: Swagger UI sends a parameter's `example`, and this one fits few collections.
FilterText = Annotated[
    str | None,
    Field(description=f"{FILTER} As JSON, for example `{json.dumps(FILTER_EXAMPLE)}`."),
    AfterValidator(_filter_text),
]
FilterObject = Annotated[JsonObject | None, Field(description=FILTER, examples=[FILTER_EXAMPLE]), AfterValidator(_filter_object)]
