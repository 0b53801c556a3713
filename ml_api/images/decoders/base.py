"""What a decoder gives back: an image whose header is read, and whose pixels are not yet."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from PIL import Image

_OVERSAMPLING: Final = 2
"""An image is reduced only while it keeps this many times the pixels wanted on each side."""


@dataclass(frozen=True, slots=True)
class Opened:
    """`width` and `height` are the stored image's, `rgb()` decodes it: RGB on white, reduced if that was asked for."""

    width: int
    height: int
    rgb: Callable[[], Image.Image]
    orientation: Callable[[], int]
    """The EXIF orientation. Asked after `rgb()`: some decoders turn the pixels themselves and then say 1."""
    memory_bytes: int
    """About what `rgb()` allocates at its peak, rather too much than too little."""


@dataclass(frozen=True, slots=True)
class Bands:
    """What the bands of a file mean."""

    colours: int
    """How many colours there are: they come first."""
    alpha: int | None
    """The number of the band that is alpha."""
    negative: bool = False
    """White is zero."""


def reduction(width: int, height: int, edge_px: int | None) -> int:
    """By how much to reduce: 8, 4, 2 or not at all (1), as the JPEG decoder does it, so that one picture has one vector in all
    formats. (Any whole factor would shift the middle by up to half a reduced pixel: cosine to the full image 0.998 on average,
    with these 0.9992.)
    """
    if edge_px is None:
        return 1
    room = min(width, height) // (edge_px * _OVERSAMPLING)
    return next((scale for scale in (8, 4, 2) if room >= scale), 1)


def reduced(image: Image.Image, edge_px: int | None) -> Image.Image:
    factor = reduction(*image.size, edge_px)
    return image.reduce(factor) if factor > 1 else image
