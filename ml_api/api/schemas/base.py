"""What every request and every answer has in common."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field


def whole(number: Any) -> Any:
    """JSON has one kind of number: 10.0 is the integer 10."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


class Request(BaseModel):
    """What a client sends. Unknown fields are errors, so that a misspelt one cannot be ignored silently."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Answer(BaseModel):
    """What we send."""

    model_config = ConfigDict(frozen=True)


class Problem(Answer):
    """An error, after RFC 9457."""

    type: Annotated[str, Field(examples=["about:blank"])]
    title: str
    status: int
    detail: Annotated[str, Field(description="What was wrong, and what would be right.")]
    code: Annotated[str, Field(description="Stable slug to switch on.", examples=["invalid-query"])]
    request_id: str
