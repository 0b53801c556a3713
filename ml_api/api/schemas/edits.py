"""The requests and answers of changes of metadata."""

from typing import Annotated, Any, Final

from pydantic import Field

from ml_api.api.schemas.base import Answer, Problem, Request
from ml_api.api.schemas.images import ID_PATTERN
from ml_api.vectors.base import MAX_METADATA_BYTES

PATCH_BODY_BYTES: Final = 6 * MAX_METADATA_BYTES
"""Longest patch of metadata: the largest metadata with each character escaped."""
MAX_PATCHES: Final = 1000
"""The most images of one request."""
PATCHES_BODY_BYTES: Final = 4 * 1024 * 1024
"""Longest body for several images, 4 KB for each. Parsing holds Python's lock, for some 30 ms then."""


class ImagePatch(Request):
    metadata: Annotated[
        dict[str, Any] | None,
        Field(
            description="A merge patch (RFC 7396): fields to set, null for those to remove; null for the object removes all.",
            examples=[{"price": 49.95, "tags": ["red", "sale"], "old": None}],
        ),
    ]


class NamedPatch(ImagePatch):
    id: Annotated[str, Field(description="Id of a stored image.", json_schema_extra={"pattern": ID_PATTERN})]


class ImagePatches(Request):
    images: Annotated[
        list[NamedPatch],
        Field(min_length=1, max_length=MAX_PATCHES, description="The patches; several of one image are made in their order."),
    ]


class PatchResult(Answer):
    id: Annotated[str, Field(pattern=ID_PATTERN)]
    status: Annotated[int, Field(description="The status that this patch alone would have been answered with.")]
    problem: Problem | None


class PatchesAnswer(Answer):
    results: Annotated[list[PatchResult], Field(description="One for each patch, in their order.")]
