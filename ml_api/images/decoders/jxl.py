"""JPEG XL by pillow-jxl-plugin, which decodes a file when it opens it, so the size is read from the header here first.

Source: ISO/IEC 18181-1 (codestream: SizeHeader, ImageMetadata), 18181-2 (boxes).
"""

from typing import Final

from PIL import Image

from ml_api.images import pixels
from ml_api.images.decoders.base import Opened, reduced
from ml_api.images.decoders.pillow import image_of, orientation_of

_CODESTREAM: Final = b"\xff\x0a"
_BOXES: Final = {b"jxlc": 0, b"jxlp": 4}
"""Boxes with the codestream, and the number of bytes before it."""
_SIZE_BITS: Final = (9, 13, 18, 30)
_RATIOS: Final = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_BYTES_A_PIXEL: Final = 24


class _Bits:
    """Fields of a codestream, least significant bit first."""

    def __init__(self, data: bytes) -> None:
        self._left = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        value = self._left & ((1 << count) - 1)
        self._left >>= count
        return value


def open_jxl(data: bytes, edge_px: int | None) -> Opened:
    """Raises ValueError, and what the plugin raises."""
    from pillow_jxl import JpegXLImagePlugin

    JpegXLImagePlugin.DECODE_THREADS = 0  # requests are decoded side by side; threads within one would only take turns
    width, height, orientation = _header(_codestream(data))
    recompressed = b"jbrd" in data  # a JPEG, which is restored as it was, with its own orientation
    if not recompressed and orientation in pixels.SIDEWAYS:
        width, height = height, width
    turns: list[int] = []

    def rgb() -> Image.Image:
        image = image_of("JXL", data)
        if image.size != (width, height):
            raise ValueError("the size is not that of the header")
        turns.append(orientation_of(image) if recompressed else 1)
        image.load()
        return reduced(pixels.to_rgb(image), edge_px)

    return Opened(width, height, rgb, lambda: turns[-1], width * height * _BYTES_A_PIXEL)


def _codestream(data: bytes) -> bytes:
    """The first bytes of the codestream."""
    if data.startswith(_CODESTREAM):
        return data[2:32]
    start = 0
    while start + 16 <= len(data):
        size, kind = int.from_bytes(data[start : start + 4], "big"), data[start + 4 : start + 8]
        content = start + (16 if size == 1 else 8)
        if kind in _BOXES:
            begins = content + _BOXES[kind]
            return data[begins + 2 : begins + 32]
        size = int.from_bytes(data[start + 8 : start + 16], "big") if size == 1 else size
        if size < content - start:
            break
        start += size
    raise ValueError("no codestream")


def _header(data: bytes) -> tuple[int, int, int]:
    """Width and height as stored, and the orientation."""
    bits = _Bits(data)
    small = bits.take(1)

    def side() -> int:
        return (bits.take(5) + 1) * 8 if small else bits.take(_SIZE_BITS[bits.take(2)]) + 1

    height = side()
    ratio = bits.take(3)
    width = side() if ratio == 0 else height * _RATIOS[ratio - 1][0] // _RATIOS[ratio - 1][1]
    plain = bits.take(1) or not bits.take(1)
    return width, height, 1 if plain else bits.take(3) + 1
