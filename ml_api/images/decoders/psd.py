"""Photoshop documents: the flattened image, if it was saved beside the layers.

Pillow decodes 8 bits for each sample. Deeper samples are read as two or four 8-bit ones and put together here.
Source: Adobe Photoshop File Formats Specification.
"""

import struct
from typing import Final

import numpy as np
from PIL import Image, PsdImagePlugin

from ml_api.errors import InvalidImage
from ml_api.images import pixels
from ml_api.images.decoders.base import Opened, reduced
from ml_api.images.decoders.pillow import image_of

_HEADER: Final = struct.Struct(">12xHIIHH")
"""Channels, height, width, bits, colour mode."""
_WIDTH_AT: Final = 18
_DEPTHS: Final = {16: ">u2", 32: ">f4"}
_VERSION_INFO: Final = 1057
_BYTES_A_PIXEL: Final = 12


def open_psd(data: bytes, edge_px: int | None) -> Opened:
    """Raises InvalidImage if only layers were saved, and what Pillow raises."""
    channels, height, width, bits, _ = _HEADER.unpack_from(data)
    if bits in _DEPTHS:
        data = data[:_WIDTH_AT] + struct.pack(">IH", width * bits // 8, 8) + data[_WIDTH_AT + 6 :]
    image = image_of("PSD", data)
    assert isinstance(image, PsdImagePlugin.PsdImageFile)
    if any(number == _VERSION_INFO and content[4:5] == b"\0" for number, _, content in image.resources):
        raise InvalidImage(
            "The Photoshop document holds layers but no flattened picture; save it with its compatibility maximised.",
            code="image-format",
        )
    transparent = _last_channel_is_transparency(data)

    def rgb() -> Image.Image:
        image.load()
        shown = image if transparent or image.mode != "RGBA" else image.convert("RGB")  # else a saved selection
        return reduced(pixels.to_rgb(shown) if bits not in _DEPTHS else _deep(shown, _DEPTHS[bits]), edge_px)

    return Opened(
        width, height, rgb, lambda: 1, width * height * channels * bits // 8 + width * height * _BYTES_A_PIXEL * max(bits // 8, 1)
    )


def _deep(image: Image.Image, kind: str) -> Image.Image:
    """Put together samples of 16 or 32 bits. `image` has the bytes of each sample side by side, most significant first."""
    planes = [np.ascontiguousarray(np.asarray(band)).view(kind) for band in image.split()]
    samples = np.dstack([plane.astype(plane.dtype.newbyteorder("=")) for plane in planes])
    if image.mode == "CMYK":
        return pixels.from_inks(samples)
    return pixels.from_values(pixels.over_white(samples[..., :3], samples[..., 3]) if image.mode == "RGBA" else samples)


def _last_channel_is_transparency(data: bytes) -> bool:
    """True if the number of layers is negative; otherwise a channel beyond the colours is a saved selection."""
    position = _HEADER.size
    for _ in range(2):  # colour mode data, resources
        position += 4 + int.from_bytes(data[position : position + 4], "big")
    return int.from_bytes(data[position + 8 : position + 10], "big", signed=True) < 0
