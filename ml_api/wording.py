"""Messages about invalid values: the one translation of pydantic's errors, for requests and for settings, and of those of JSON.

Each message says what would be valid. For numbers this follows from the field's declaration and not from the error: for pydantic
1.5, "ten" and 1e400 are three kinds of errors, and all need "a whole number from 1 to 100".
"""

import json
from collections.abc import Sequence
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, MaxLen, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

_REPEATED: Final = 40
"""Characters of a text that a message repeats."""


def legible(text: str, most: int | None = 100) -> str:
    """Somebody's text in a message: as it was written, in any language, but escaped where a character would do something to a
    terminal or a line, or is none (JSON can hold lone surrogates, which an answer in UTF-8 cannot). `most` characters of it.
    """
    some = text[:most]
    return some if some.isprintable() else "".join(one if one.isprintable() else ascii(one)[1:-1] for one in some)


def size_in_words(size_bytes: int) -> str:
    """As people write it, in decimal units: "640 bytes", "82 KB", "3.4 MB"."""
    if size_bytes < 1000:
        return "1 byte" if size_bytes == 1 else f"{size_bytes} bytes"
    return f"{size_bytes / 1000:.0f} KB" if size_bytes < 999_500 else f"{size_bytes / 1e6:,.1f} MB"


def got(value: Any) -> str:
    """What a caller sent, in JSON's words, to stand behind what would be right. Long texts are counted, not repeated."""
    match value:
        case str() if len(value) > _REPEATED:
            return f" (got {len(value)} characters)"
        case str():
            return f" (got {value!r})"
        case list():
            return f" (got an array of {len(value):,})"
        case dict():
            return " (got an object)"
        case bool() | int() | float() | None:
            return f" (got {json.dumps(value)[:60]})"
        case _:
            return ""


def no_json(error: ValueError | RecursionError) -> str:
    """Why `json.loads` failed."""
    match error:
        case RecursionError():
            return "is nested too deeply"
        case UnicodeDecodeError():
            return "is not UTF-8"
        case json.JSONDecodeError():
            return f"is not valid JSON, from line {error.lineno}, column {error.colno} on"
        case _:
            return "is not valid JSON: it has a number of thousands of digits"  # which Python does not read


def place(loc: Sequence[str | int]) -> str:
    """Where in a value the error is: `query[2].crop`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).removeprefix(".")


def model_at(model: type[BaseModel], loc: Sequence[str | int]) -> type[BaseModel]:
    """The model of the object in which the last part of `loc` is a name."""
    return _at(model, loc[:-1])[0]


def what_is_wrong(error: Any, model: type[BaseModel]) -> str:  # noqa: PLR0911 - a table
    """`error` is one of `ValidationError.errors()` of `model`, about a field that `model` has, or one within it."""
    context = error.get("ctx", {})
    match error["type"]:
        case "missing":
            return "is missing"
        case "value_error":
            return str(context["error"])
        case "string_unicode":
            return "holds a lone surrogate, which is not a character; send valid Unicode"
        case "string_too_short":
            return "must not be empty"
        case "string_too_long":
            return f"must have at most {context['max_length']:,} characters"
        case "dict_type" | "model_type" | "model_attributes_type":
            return "must be an object"
        case "list_type" | "too_short" | "too_long":
            return f"must be {_array(_at(model, error['loc'])[1])}"
        case "literal_error" | "enum":
            return f"must be {context['expected']}"
        case _:
            field = _at(model, error["loc"])[1]
            assert field is not None
            return f"must be {_wanted(field)}"


def _at(model: type[BaseModel], loc: Sequence[str | int]) -> tuple[type[BaseModel], FieldInfo | None]:
    """The innermost model and field on the way."""
    field = None
    for part in loc:
        if isinstance(part, str) and part in model.model_fields:
            field = model.model_fields[part]
            model = _model_in(field.annotation) or model
    return model, field


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation such as `list[Model] | None` names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for argument in get_args(annotation) if (model := _model_in(argument))), None)


def _scalar_in(annotation: Any) -> Any:
    """What `list[float] | None` consists of in the end: `float`."""
    arguments = get_args(annotation)
    return _scalar_in(arguments[0]) if arguments and get_origin(annotation) in {list, Annotated, UnionType, Union} else annotation


def _array(field: FieldInfo | None) -> str:
    assert field is not None
    kind = _scalar_in(field.annotation)
    nouns = {int: "whole numbers", float: "numbers", str: "texts"}.get(kind, "objects")
    least = next((bound.min_length for bound in field.metadata if isinstance(bound, MinLen)), 0)
    most = next((bound.max_length for bound in field.metadata if isinstance(bound, MaxLen)), None)
    if most is None:
        return f"an array of {nouns}"
    many = f"{most:,}" if least == most else f"{least:,} to {most:,}" if least else f"at most {most:,}"
    return f"an array of {many} {nouns}"


def _wanted(field: FieldInfo) -> str:
    kind = _scalar_in(field.annotation)
    if kind is bool:
        return "true or false"
    if kind not in {int, float}:
        return "a text"
    noun = "a whole number" if kind is int else "a number"
    least = next((bound.ge for bound in field.metadata if isinstance(bound, Ge)), None)
    above = next((bound.gt for bound in field.metadata if isinstance(bound, Gt)), None)
    most = next((bound.le for bound in field.metadata if isinstance(bound, Le)), None)
    if most is None:
        return "a finite number"
    return f"{noun} from {least:,} to {most:,}" if above is None else f"{noun} above {above:,} and at most {most:,}"
