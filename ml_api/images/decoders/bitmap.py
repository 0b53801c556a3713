"""Windows bitmaps of 16 or 32 bits with colour masks; Pillow knows only the common masks.

Source: Microsoft, BITMAPV5HEADER. Masks follow a header of 40 bytes, and are at the same offset within longer ones.
"""

import struct
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from ml_api.images import pixels
from ml_api.images.decoders.base import Opened, reduced

_HEADER: Final = struct.Struct("<IIiiHHI")
"""From byte 10 on: where pixels begin; the header's size, width, height (negative: from the top), planes, bits, compression."""
_HEADER_AT: Final = 10
_MASKS_AT: Final = 54
_BITFIELDS: Final = frozenset({3, 6})
_LONG_HEADER_BYTES: Final = 56
"""Headers of at least this size have an alpha mask after those for red, green and blue."""
_WITH_ALPHA: Final = 6
_BYTES_A_PIXEL: Final = 40
"""Peak memory while bits are converted to floats and floats to bands."""


def open_masked(data: bytes, edge_px: int | None) -> Opened:
    """Open a bitmap with colour masks. Raises ValueError for other bitmaps, and struct.error."""
    offset, header_bytes, width, height, _, bits, compression = _HEADER.unpack_from(data, _HEADER_AT)
    if compression not in _BITFIELDS or bits not in {16, 32} or width <= 0 or height == 0:
        raise ValueError("no bitmap with masks")
    alpha = header_bytes >= _LONG_HEADER_BYTES or compression == _WITH_ALPHA
    masks = struct.unpack_from("<4I" if alpha else "<3I", data, _MASKS_AT)

    def rgb() -> Image.Image:
        row_bytes = (width * bits // 8 + 3) & ~3
        rows = np.frombuffer(data, np.uint8, abs(height) * row_bytes, offset).reshape(abs(height), row_bytes)
        words = rows[:, : width * bits // 8].view("<u2" if bits == 16 else "<u4")
        bands = np.dstack([_band(words, mask) for mask in masks[:3]])
        if alpha and masks[3]:
            bands = pixels.over_white(bands, _band(words, masks[3]))
        return reduced(pixels.from_values(bands if height < 0 else bands[::-1]), edge_px)

    return Opened(width, abs(height), rgb, lambda: 1, width * abs(height) * _BYTES_A_PIXEL)


def _band(words: npt.NDArray[Any], mask: int) -> npt.NDArray[np.uint8]:
    """The bits under `mask`, scaled to 8 bits."""
    if mask == 0:
        return np.zeros(words.shape, np.uint8)
    band: npt.NDArray[np.uint8] = np.rint((words & mask) * (255.0 / mask)).astype(np.uint8)
    return band
