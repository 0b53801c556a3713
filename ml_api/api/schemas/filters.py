"""The types of filters in requests, and the conversion of their errors to pydantic's."""

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
"""The pydantic type of an error whose `detail` begins with the name of its field."""
FILTER_EXAMPLE: Final[JsonObject] = {"price": {"lt": 20}, "tags": {"any": ["red"]}}


@contextmanager
def as_pydantic() -> Iterator[None]:
    """Raise InvalidQuery as an error of pydantic, which adds its place within the request."""
    try:
        yield
    except InvalidQuery as exc:
        raise PydanticCustomError(WITHIN, "{detail}", {"detail": exc.detail}) from exc


def _filter_text(text: str | None) -> str | None:
    """Check a filter while the request is validated, so that its mistakes are reported with those of other fields."""
    if text is not None:
        with as_pydantic():
            parse_text(text)
    return text


def _filter_object(given: JsonObject | None) -> JsonObject | None:
    """Check a filter that is a JSON object, as `_filter_text` checks one that is text."""
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
