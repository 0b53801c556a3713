"""Defines a `Call`, the request of an operation with the parser of its answer, which `operations` makes and clients send."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, Literal, TypeVar
from urllib.parse import quote

from pydantic import BaseModel

Answer = TypeVar("Answer")
Parsed = TypeVar("Parsed", bound=BaseModel)

Image = bytes | str | Path
"""A file: its bytes, or its path, from which it is read in pieces while it is sent."""
JSON: Final = "application/json"
BINARY: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Call(Generic[Answer]):
    """A request; `read` parses the body of its answer."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    read: Callable[[bytes], Answer]
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Path | None = None
    media_type: str = JSON
    form: Sequence[tuple[str, str, Image]] = ()
    """The files of a form, instead of a body: field, file name, file."""
    headers: Mapping[str, str] = field(default_factory=dict)


def answer_as(model: type[Parsed]) -> Callable[[bytes], Parsed]:
    return model.model_validate_json


def as_json(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body).encode()


def file_of(image: Image) -> bytes | Path:
    return Path(image) if isinstance(image, str) else image


def whole(image: Image) -> bytes:
    file = file_of(image)
    return file.read_bytes() if isinstance(file, Path) else file


def given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def as_query(**given: Any) -> dict[str, str]:
    """The values of a query string, without None and "": lists as names separated by commas, objects and flags as JSON."""
    stated = {name: value for name, value in given.items() if value is not None and value != ""}
    return {name: _as_text(value) for name, value in stated.items()}


def _as_text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return json.dumps(value) if isinstance(value, bool | dict) else str(value)


def conditions(if_match: str | None, if_none_match: str | None) -> dict[str, str]:
    """Headers of RFC 9110, 13.1: `*`, or an entity tag, which is the digest of an image's file."""
    tags = given(**{"If-Match": if_match, "If-None-Match": if_none_match})
    return {name: tag if tag == "*" else f'"{tag}"' for name, tag in tags.items()}


def quoted(image_id: str) -> str:
    return quote(image_id, safe="")
