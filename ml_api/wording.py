"""Messages about invalid values: the one translation of pydantic's errors, for requests and for settings.

Each message says what would be valid. For numbers this follows from the field's declaration and not from the error: for pydantic
1.5, "ten" and 1e400 are three kinds of errors, and all need "a whole number from 1 to 100".
"""

from typing import Any

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo


def what_is_wrong(error: Any, model: type[BaseModel]) -> str:  # noqa: PLR0911 - a table
    """`error` is one of `ValidationError.errors()` of `model`, about a field that `model` has."""
    context = error.get("ctx", {})
    match error["type"]:
        case "missing":
            return "is missing"
        case "value_error":
            return str(context["error"])
        case "string_too_short":
            return "must not be empty"
        case "string_too_long":
            return f"must have at most {context['max_length']:,} characters"
        case "dict_type":
            return "must be an object"
        case "literal_error":
            return f"must be {context['expected']}"
        case _:
            return f"must be {_wanted(model.model_fields[str(error['loc'][0])])}"


def _wanted(field: FieldInfo) -> str:
    if field.annotation is bool:
        return "true or false"
    if field.annotation not in {int, float}:
        return "a text"
    noun = "a whole number" if field.annotation is int else "a number"
    least = next((bound.ge for bound in field.metadata if isinstance(bound, Ge)), None)
    above = next((bound.gt for bound in field.metadata if isinstance(bound, Gt)), None)
    most = next((bound.le for bound in field.metadata if isinstance(bound, Le)), None)
    return f"{noun} from {least:,} to {most:,}" if above is None else f"{noun} above {above:,} and at most {most:,}"
