"""The answer of `/v1/metadata`, the fields of the metadata."""

from typing import Annotated

from pydantic import Field

from ml_api.api.schemas.base import Answer


class FieldValue(Answer):
    value: str | bool | int | float
    images: Annotated[int, Field(description="How often it was seen; of lists, their elements.")]


class MetadataField(Answer):
    name: Annotated[str, Field(description="As filters name it.", examples=["maker.city"])]
    images: Annotated[int, Field(description="Images that have it, of those that were looked at.")]
    types: Annotated[dict[str, int], Field(description="Images by type: text, number, boolean, list, object.")]
    least: Annotated[float | None, Field(description="Smallest number; null without numbers.")]
    most: Annotated[float | None, Field(description="Largest number; null without numbers.")]
    values: Annotated[list[FieldValue], Field(description="The most frequent values; long texts are left out.")]
    distinct: Annotated[int | None, Field(description="How many different values there are; null if they were too many to count.")]


class MetadataAnswer(Answer):
    over: Annotated[int, Field(description="How many images were looked at: a sample of large collections.")]
    whole: Annotated[bool, Field(description="Whether these are all images.")]
    fields: Annotated[list[MetadataField], Field(description="Those that most images have first; 200 at most.")]
