"""The base classes of all models of requests and answers, and the model of errors."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field


def whole(number: Any) -> Any:
    """The integer of a float such as 10.0, as JSON has only one kind of number; other values unchanged."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


class Request(BaseModel):
    """What a client sends. Unknown fields are errors, so that a misspelt one cannot be ignored silently."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Answer(BaseModel):
    """The base class of what the service answers: with every field, also one that is null."""

    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)


class Problem(Answer):
    """An error, after RFC 9457."""

    type: Annotated[str, Field(examples=["about:blank"])]
    title: str
    status: int
    detail: Annotated[str, Field(description="What was wrong, and what would be right.")]
    code: Annotated[str, Field(description="Stable slug to switch on.", examples=["invalid-query"])]
    request_id: str
