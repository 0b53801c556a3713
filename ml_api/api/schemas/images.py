"""The models of a stored image in answers."""

from typing import Annotated, Any

from pydantic import Field

from ml_api.api.schemas.base import Answer
from ml_api.records import is_image_id

ID_PATTERN = "^[0-9a-f]{32}$"


def cursor(text: str) -> str:
    if not is_image_id(text):
        raise ValueError("must be the `next` of an answer before, as it stands there")
    return text


class Links(Answer):
    self_: Annotated[str, Field(alias="self", description="The image's record.")]
    content: Annotated[str, Field(description="The original file.")]
    thumbnail: Annotated[str, Field(description="A small preview.")]
    similar: Annotated[str, Field(description="More like this one.")]


class ImageAnswer(Answer):
    id: Annotated[str, Field(pattern=ID_PATTERN, description="The first 32 hex digits of the SHA-256 of the key, in UTF-8.")]
    key: Annotated[str, Field(description="Path of the file below the corpus root.")]
    width: Annotated[int, Field(description="Pixels, as displayed.")]
    height: Annotated[int, Field(description="Pixels, as displayed.")]
    metadata: Annotated[dict[str, Any], Field(description="Facts that came with the corpus.")]
    links: Links


class StoredImage(ImageAnswer):
    digest: Annotated[str, Field(description="sha256 of the file's bytes when it was indexed.")]
    indexed_at: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
