"""A row of a metadata file, whatever its format, and the key by which it is joined to images."""

import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

KEYS = ("key", "id", "product_id", "sku")
"""The fields that name the image, in this order; their names are compared without case and surrounding spaces."""

Row = tuple[int, Mapping[str, Any] | None, str]
"""Its number in the file, and its fields; or None, and what is wrong with it. The number 0 stands for the whole file."""


@lru_cache(1024)
def is_key(name: str) -> bool:
    """Whether this is one of the fields that may name the image."""
    return name.strip().lower() in KEYS


@lru_cache(16)
def key_field(names: tuple[str, ...]) -> str | None:
    """The field that names the image, if there is one."""
    plain = {name.strip().lower(): name for name in reversed(names)}
    return next((plain[key] for key in KEYS if key in plain), None)


def split_key(fields: Mapping[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """The key, in comparable form, and what is stored; the field `key` is not, as every image has it. None if there is no key."""
    field = key_field(tuple(fields))
    key = None if field is None else fields[field]
    if isinstance(key, int) and not isinstance(key, bool):
        key = str(key)  # a product id
    if field is None or not isinstance(key, str):
        return None, {}
    told = field.strip().lower() == KEYS[0]
    return comparable(key), {name: value for name, value in fields.items() if not (told and name == field)}


def comparable(key: str) -> str:
    """The form in which keys are compared (NFC): file systems differ in how they store accents."""
    return unicodedata.normalize("NFC", key)


def listed(names: Iterable[str]) -> str:
    """Names of fields for a message."""
    every = list(names)
    shown = ", ".join(repr(name[:40]) for name in every[:10])
    return (shown + (", …" if len(every) > 10 else "")) or "nothing"
