"""Reads from a photograph's Exif block when, where and with which camera it was taken (Exif 2.3, JEITA CP-3451C).

Syncs and uploads store it as metadata if ML_API_EXIF is on. The file is untrusted and is read in the service's own process, so only
a few tags are read, each of a kilobyte at most: Pillow keeps what every entry points at, and 5,000 entries of one segment may each
point at all of it.
"""

import math
import re
import struct
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from ml_api.images.containers import exif_in

_ENTRIES: Final = 512
_BYTES: Final = 1024
_TEXT, _SHORT, _LONG, _RATIONAL = 2, 3, 4, 5
_SIZES: Final = {_TEXT: 1, _SHORT: 2, _LONG: 4, _RATIONAL: 8}
_MAKE, _MODEL, _CHANGED, _DETAIL, _GPS = 0x010F, 0x0110, 0x0132, 0x8769, 0x8825
_TAKEN: Final = 0x9003
_NORTH_OR_SOUTH, _LATITUDE, _EAST_OR_WEST, _LONGITUDE = 1, 2, 3, 4
_MOMENT: Final = re.compile(r"(\d{4}):(\d\d):(\d\d) (\d\d:\d\d:\d\d)", re.ASCII)
_CAMERA_CHARS: Final = 100
"""A longer name of a camera is cut off here."""
_DAMAGED: Final = (ArithmeticError, IndexError, KeyError, ValueError, struct.error)

Values = Mapping[int, Any]
"""The value of each tag: text, a whole number, or a tuple of fractions."""


def read_exif(data: bytes) -> dict[str, Any]:
    """Return `exif_taken_at`, `exif_camera`, `exif_latitude` and `exif_longitude`, as far as the file has them. Raises nothing.

    The time has no zone: it is that of the camera's clock, as ISO 8601. Degrees are positive to the north and the east.
    """
    try:
        tiff = exif_in(data)
        order = {b"II": "<", b"MM": ">"}[tiff[:2]]
        (first,) = struct.unpack_from(f"{order}I", tiff, 4)
    except _DAMAGED:
        return {}
    image = _entries(tiff, order, first, {_MAKE, _MODEL, _CHANGED, _DETAIL, _GPS})
    detail = _entries(tiff, order, image.get(_DETAIL), {_TAKEN})
    gps = _entries(tiff, order, image.get(_GPS), {_NORTH_OR_SOUTH, _LATITUDE, _EAST_OR_WEST, _LONGITUDE})
    return (_moment(detail.get(_TAKEN)) or _moment(image.get(_CHANGED))) | _camera(image) | _position(gps)


def _entries(tiff: bytes, order: str, place: object, wanted: set[int]) -> dict[int, Any]:
    """The wanted entries of the directory at `place`, as far as they can be read: a broken one is skipped."""
    found: dict[int, Any] = {}
    if not isinstance(place, int):
        return found
    with suppress(*_DAMAGED):
        (count,) = struct.unpack_from(f"{order}H", tiff, place)
        for number in range(min(count, _ENTRIES)):
            at = place + 2 + 12 * number
            tag, kind, values = struct.unpack_from(f"{order}HHI", tiff, at)
            size = _SIZES.get(kind, 0) * values
            if tag not in wanted or not 0 < size <= _BYTES:
                continue
            (start,) = (at + 8,) if size <= 4 else struct.unpack_from(f"{order}I", tiff, at + 8)
            with suppress(*_DAMAGED):  # a position without a fix is 0/0
                found[tag] = _value(tiff[start : start + size], order, kind, values)
    return found


def _value(data: bytes, order: str, kind: int, values: int) -> Any:
    if kind == _TEXT:
        return data.partition(b"\0")[0].decode("utf-8", "replace")
    if kind == _RATIONAL:
        numbers = struct.unpack(f"{order}{2 * values}I", data)
        return tuple(above / below for above, below in zip(numbers[::2], numbers[1::2], strict=True))
    return struct.unpack(f"{order}{values}{'H' if kind == _SHORT else 'I'}", data)[0]


def _moment(text: object) -> dict[str, Any]:
    match = _MOMENT.match(text) if isinstance(text, str) else None
    if match is None:
        return {}
    try:
        moment = datetime.fromisoformat(f"{match[1]}-{match[2]}-{match[3]}T{match[4]}")
    except ValueError:  # a clock that was never set: year or month 0
        return {}
    return {"exif_taken_at": moment.isoformat()}


def _camera(image: Values) -> dict[str, Any]:
    maker, model = (_text(image.get(tag)) for tag in (_MAKE, _MODEL))
    camera = model if model.lower().startswith(maker.lower()) else f"{maker} {model}".strip()
    return {"exif_camera": camera} if camera else {}


def _text(value: object) -> str:
    return "".join(filter(str.isprintable, value)).strip()[:_CAMERA_CHARS] if isinstance(value, str) else ""


def _position(gps: Values) -> dict[str, Any]:
    latitude = _degrees(gps.get(_LATITUDE), gps.get(_NORTH_OR_SOUTH), "NS", 90)
    longitude = _degrees(gps.get(_LONGITUDE), gps.get(_EAST_OR_WEST), "EW", 180)
    return {} if latitude is None or longitude is None else {"exif_latitude": latitude, "exif_longitude": longitude}


def _degrees(parts: object, reference: object, references: str, most: float) -> float | None:
    """Convert degrees, minutes and seconds to signed degrees; None if they are invalid."""
    if not isinstance(reference, str) or reference not in tuple(references) or not isinstance(parts, tuple) or len(parts) != 3:
        return None
    degrees: float = sum(float(part) / 60**power for power, part in enumerate(parts))
    if not math.isfinite(degrees) or degrees > most:
        return None
    return round(-degrees if reference == references[1] else degrees, 6)
