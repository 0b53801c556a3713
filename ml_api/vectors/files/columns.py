"""Converts between records and the columns of a vector file: a record's fields, except its id, which follows from the key, and the
id of the model.

The columns are derived from ImageRecord, so that a new field there becomes a column, too. Files of other programs name no model;
their key is in `id` or `image_path`, their vector in `embedding`, and their other columns become the image's metadata.
"""

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any, Final, get_type_hints

from ml_api.records import ImageRecord, image_id

KEY: Final = "key"
MODEL: Final = "model"
"""The model's id is in every row and not in a header: pandas drops a Parquet file's own metadata, and JSON lines have no header."""

VECTOR: Final = "vector"
KEYS: Final = (KEY, "id", "image_path")
"""Columns of keys: of this application, of indexes such as Vertex AI's, of clip-retrieval; the first that a row has counts."""

VECTORS: Final = (VECTOR, "embedding")
RESTRICTS: Final = "restricts"
NUMERIC_RESTRICTS: Final = "numeric_restricts"

Column = str | int | float | dict[str, Any]

_HINTS: Final = get_type_hints(ImageRecord)
KINDS: Final[Mapping[str, type]] = {
    field.name: _HINTS[field.name] if _HINTS[field.name] in {str, int, float} else dict
    for field in fields(ImageRecord)
    if field.name != "id"
}
"""The type of each column: str, int, float, or dict, which formats without nesting store as JSON."""

_OPTIONAL: Final = {
    field.name for field in fields(ImageRecord) if field.default is not MISSING or field.default_factory is not MISSING
}
_WORDS: Final = {str: "a text", int: "a whole number", float: "a number", dict: "a JSON object"}


def columns_of(record: ImageRecord, model_id: str) -> dict[str, Column]:
    """The columns of a record, without the vector."""
    return {MODEL: model_id} | {name: getattr(record, name) for name in KINDS}


def flat_columns_of(record: ImageRecord, model_id: str) -> dict[str, str | int | float]:
    """As `columns_of`, with objects as JSON text."""
    columns = columns_of(record, model_id)
    return {name: json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else value for name, value in columns.items()}


def model_of(columns: Mapping[str, Any]) -> str | None:
    """The id of the model that made a row's vector; None if the row does not say."""
    return columns.get(MODEL) or None


def record_of(columns: Mapping[str, Any]) -> ImageRecord:
    """The record of a row. Raises ValueError that says which column is wrong, and why."""
    key = _key_of(columns)
    values = _own(columns) if model_of(columns) else _foreign(columns)
    try:
        return ImageRecord(**{**values, "id": image_id(key), KEY: key})
    except UnicodeEncodeError:
        raise ValueError(f"the key {key!r} is not valid Unicode text") from None


def _key_of(columns: Mapping[str, Any]) -> str:
    for name in KEYS:
        value = columns.get(name)
        if isinstance(value, str):
            return value
        if isinstance(value, int) and not isinstance(value, bool):  # product ids
            return str(value)
    raise ValueError(f"it has no key: no text in a column {', '.join(KEYS[:-1])} or {KEYS[-1]}")


def _own(columns: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a row that this application wrote."""
    values = {}
    for name, kind in KINDS.items():
        if name in _OPTIONAL and columns.get(name) is None:
            continue
        try:
            values[name] = _converted(columns.get(name), kind)
        except (TypeError, ValueError, OverflowError, RecursionError):
            raise ValueError(f"{name} is {_shown(columns.get(name))}, not {_WORDS[kind]}") from None
    return values


def _converted(value: Any, kind: type) -> Any:
    """Convert a value as JSON, CSV or a binary format represents it to `kind`. Raises ValueError or TypeError."""
    if isinstance(value, bool) or value is None:
        raise TypeError
    if kind is dict:
        value = json.loads(value) if isinstance(value, str) else value
    elif kind is float or (kind is int and isinstance(value, str)):
        value = kind(value)
    if not isinstance(value, kind) or (isinstance(value, float) and not math.isfinite(value)):
        raise TypeError
    return value


def _foreign(columns: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a row that another program wrote. Version and digest are empty, so that a sync reads the file."""
    size = {name: columns[name] for name in ("width", "height") if _is_size(columns.get(name))}
    known = {*KEYS, *VECTORS, MODEL, RESTRICTS, NUMERIC_RESTRICTS, "crowding_tag", *size}
    metadata = {name: _plain(value) for name, value in columns.items() if name not in known and not _is_missing(value)}
    metadata |= _restrictions(columns.get(RESTRICTS)) | _restrictions(columns.get(NUMERIC_RESTRICTS))
    plain = {"version": "", "digest": "", "width": 0, "height": 0, "indexed_at": time.time()}
    return plain | size | {"metadata": metadata}


def _restrictions(value: object) -> dict[str, Any]:
    """Vertex AI's `{"namespace": "colour", "allow": ["red"]}` and `{"namespace": "price", "value_int": 3}` as metadata."""
    metadata: dict[str, Any] = {}
    for restriction in value if isinstance(value, Sequence) and not isinstance(value, str) else ():
        if not isinstance(restriction, Mapping) or not isinstance(namespace := restriction.get("namespace"), str):
            what = f"{RESTRICTS} are {_shown(value)}, not a list of objects with a namespace"
            raise ValueError(what)  # noqa: TRY004 - the row's value, not the caller's type
        allowed = restriction.get("allow", restriction.get("allow_list"))
        numbers = (restriction.get(name) for name in ("value_int", "value_float", "value_double"))
        content = allowed if allowed is not None else next((number for number in numbers if number is not None), None)
        if content is not None:
            metadata[namespace] = content
    return metadata


def _is_size(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def _plain(value: object) -> object:
    """The value, as text if JSON has no type for it, such as a date."""
    return value if isinstance(value, str | int | float | list | dict) else str(value)


def _shown(value: object) -> str:
    text = "missing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
