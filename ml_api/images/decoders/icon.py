"""Decodes an icon: a directory of images, each a PNG or a Windows bitmap without its file header. The largest image is used; of
several of that size, the one with most bits.

Pillow decodes an image as soon as it opens an icon, however large it is, so it is given one image of known size.
Source: Microsoft, "Icons" (Win32), ICONDIR and ICONDIRENTRY.
"""

import struct
from typing import Final

from ml_api.images.decoders.base import Opened
from ml_api.images.decoders.pillow import open_with_pillow
from ml_api.images.decoders.vips import open_with_vips

_DIRECTORY: Final = struct.Struct("<HHH")
_ENTRY: Final = struct.Struct("<BBBBHHII")
"""Width, height (0 means 256), colours, -, planes, bits, bytes, offset."""
_BITMAP: Final = struct.Struct("<Iii")
"""Size, width and height in a bitmap's header. The height counts the mask, too."""
_PNG: Final = b"\x89PNG"


def open_icon(data: bytes, edge_px: int | None) -> Opened:
    """Raises struct.error, ValueError, and what Pillow and libvips raise."""
    _, _, count = _DIRECTORY.unpack_from(data)
    entries = [_ENTRY.unpack_from(data, _DIRECTORY.size + index * _ENTRY.size) for index in range(count)]
    largest = max(entries, key=lambda entry: ((entry[0] or 256) * (entry[1] or 256), entry[5]))
    *description, size, offset = largest
    picture = data[offset : offset + size]
    if picture.startswith(_PNG):
        return open_with_vips("PNG", picture, edge_px)
    _, width, height = _BITMAP.unpack_from(picture)
    alone = _DIRECTORY.pack(0, 1, 1) + _ENTRY.pack(*description, size, _DIRECTORY.size + _ENTRY.size) + picture
    rgb = lambda: open_with_pillow("ICO", alone, edge_px).rgb()  # noqa: E731 - one line, used in the next
    return Opened(width, abs(height) // 2, rgb, lambda: 1, width * abs(height) * 8)
