"""AVIF files with the properties that other encoders write: made from Pillow's by changing boxes in place.

Source: ISO/IEC 14496-12 (boxes, `ipma`), ISO/IEC 23008-12 (`ispe`, `clap`).
"""

import struct
from typing import Any

from PIL import Image

from tests.files.hostile_images import encoded

_CLAP_BYTES = 40


def without_alpha_size(image: Image.Image, **options: Any) -> bytes:
    """`image` with alpha, whose alpha plane has no `ispe` of its own: its association is made to name no property."""
    data = encoded(image, "AVIF", **options)
    return _replaced(data, b"\0\x02\x04\x01\x05\x86\x07", b"\0\x02\x04\0\x05\x86\x07")


def cropped(image: Image.Image, box: tuple[int, int, int, int], **options: Any) -> bytes:
    """`image` with a clean aperture: only `box` is to be shown. The box `clap` takes the place of a colour profile as long."""
    placeholder = b"x" * (_CLAP_BYTES - 12)
    data = encoded(image, "AVIF", icc_profile=placeholder, **options)
    left, upper, right, lower = box
    centre = ((left + right - image.width), 2, (upper + lower - image.height), 2)
    clap = struct.pack(">I4s8i", _CLAP_BYTES, b"clap", right - left, 1, lower - upper, 1, *centre)
    data = _replaced(data, struct.pack(">I", _CLAP_BYTES) + b"colrprof" + placeholder, clap)
    return _essential(data, _number_of(data, b"clap"))


def _number_of(data: bytes, kind: bytes) -> int:
    """The place of the property `kind` among those in `ipco`, counted from 1."""
    start = data.index(b"ipco") + 4
    end = start - 8 + int.from_bytes(data[start - 8 : start - 4], "big")
    number = 0
    while start < end:
        number += 1
        if data[start + 4 : start + 8] == kind:
            return number
        start += int.from_bytes(data[start : start + 4], "big")
    raise LookupError(kind)


def _essential(data: bytes, number: int) -> bytes:
    """Mark the property as one that a reader has to understand, in the association of the first item."""
    first = data.index(b"ipma") + 4 + 8 + 2
    count = data[first]
    associations = bytes(value | 0x80 if value == number else value for value in data[first + 1 : first + 1 + count])
    return data[: first + 1] + associations + data[first + 1 + count :]


def _replaced(data: bytes, old: bytes, new: bytes) -> bytes:
    assert data.count(old) == 1
    assert len(old) == len(new)
    return data.replace(old, new)
