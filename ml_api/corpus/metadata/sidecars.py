"""A sidecar: a JSON file beside an image, with the same name but for the ending, that says something of it alone.

Its version is part of the image's, so that a sync sees that it changed without opening it.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from ml_api.errors import InvalidMetadata
from ml_api.wording import no_json

ENDING: Final = ".json"
BESIDE: Final = "+"
"""Between the version of the image and that of its sidecar."""


def sidecar_of(key: str) -> str:
    """The key of the sidecar of this image."""
    return f"{stem_of(key)}{ENDING}"


def stem_of(key: str) -> str:
    folder, slash, name = key.rpartition("/")
    return f"{folder}{slash}{name.rpartition('.')[0] or name}"


def version_beside(version: str, sidecar: str) -> str:
    """The version of an image whose sidecar has the version `sidecar`, which is empty if there is none."""
    return f"{version}{BESIDE}{sidecar}" if sidecar else version


def version_alone(version: str | None) -> str | None:
    """The version of the image's own file, without its sidecar's."""
    return None if version is None else version.partition(BESIDE)[0]


def has_sidecar(version: str) -> bool:
    return BESIDE in version


def facts_in(sidecar: bytes) -> Mapping[str, Any]:
    """Raises InvalidMetadata, which says what is wrong with it."""
    try:
        facts = json.loads(sidecar.decode("utf-8-sig"))
    except (ValueError, RecursionError) as exc:
        raise InvalidMetadata(f"it {no_json(exc)}") from exc
    if not isinstance(facts, dict):
        raise InvalidMetadata("it is JSON, but not an object")
    return facts
