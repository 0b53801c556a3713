"""TIFF files as cameras, scanners and scientific programs write them, by tifffile."""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile


def tiff(values: npt.NDArray[Any], **options: Any) -> bytes:
    """(height, width[, bands]), or (bands, height, width) with `planarconfig="separate"`; options as tifffile's."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, **options)
    return buffer.getvalue()


def planes(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(height, width, bands) as (bands, height, width)."""
    return np.ascontiguousarray(np.moveaxis(values, -1, 0))
