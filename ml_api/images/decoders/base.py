"""The result of opening an image file: its header is read, its pixels are not decoded yet."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from PIL import Image

_OVERSAMPLING: Final = 2
"""A reduced image keeps at least this many times the requested pixels on each side."""


@dataclass(frozen=True, slots=True)
class Opened:
    """`width` and `height` are those of the stored image; `rgb()` decodes it as RGB on white, reduced if requested."""

    width: int
    height: int
    rgb: Callable[[], Image.Image]
    orientation: Callable[[], int]
    """The EXIF orientation, valid after `rgb()`: it is 1 if the decoder has rotated the pixels itself."""
    memory_bytes: int
    """Upper estimate of the memory that `rgb()` allocates at its peak."""


@dataclass(frozen=True, slots=True)
class Bands:
    """The meaning of a file's bands."""

    colours: int
    """The number of colour bands, which come first."""
    alpha: int | None
    """The index of the alpha band."""
    negative: bool = False
    """White is zero."""


def reduction(width: int, height: int, edge_px: int | None) -> int:
    """The reduction factor: 8, 4, 2 or 1, the factors of the JPEG decoder, so that an image has the same vector in all formats.

    Other factors would shift the image by up to half a reduced pixel (mean cosine to the full image 0.998; with these 0.9992).
    """
    if edge_px is None:
        return 1
    room = min(width, height) // (edge_px * _OVERSAMPLING)
    return next((scale for scale in (8, 4, 2) if room >= scale), 1)


def reduced(image: Image.Image, edge_px: int | None) -> Image.Image:
    factor = reduction(*image.size, edge_px)
    return image.reduce(factor) if factor > 1 else image
