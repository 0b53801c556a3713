"""Scales a decoded picture to the pixels that a model sees (`Fit`) or to a thumbnail.

A `Fit` is a value that is sent to the decoding process, so that a photograph crosses between processes as the 0.15 MB of a square
of 224 pixels, not as the 0.5 to 2.4 MB that it is decoded to. This module imports nothing else of this package, as Triton's side
uses these values without the decoders.
"""

from dataclasses import dataclass
from io import BytesIO
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

THUMBNAIL_MEDIA_TYPE: Final = "image/webp"
_QUALITY: Final = 80

RgbPixels = npt.NDArray[np.uint8]
"""Shape (height, width, 3)."""

_MAX_ASPECT: Final = 4
"""A processor scales the *shorter* side to its edge and then cuts the middle out: a 30,000 x 1 image would become
224 x 6.7 million pixels (46 s, 15 GB). Cutting the middle at 4:1 first gives the same square at a bounded cost."""


class Fit(Protocol):
    """How a decoded picture is scaled for a model. Implementations are frozen and picklable."""

    @property
    def edge_px(self) -> int:
        """Edge of the square that the model sees. A picture may be decoded smaller, with both sides at least twice as long."""
        ...

    def apply(self, image: Image.Image) -> RgbPixels:
        """Return the pixels that the model sees of an RGB image, as a contiguous array."""
        ...


@dataclass(frozen=True, slots=True)
class Square:
    """CLIP's scaling: the shorter side becomes `shortest_px` long, and the middle square of `edge_px` is cut out.

    With `shortest_px` None it is SigLIP's scaling: the picture becomes the square, whatever its shape was.
    """

    edge_px: int
    shortest_px: int | None
    resample: int
    """A value of `PIL.Image.Resampling`."""

    def apply(self, image: Image.Image) -> RgbPixels:
        resample = Image.Resampling(self.resample)
        if self.shortest_px is None:
            return np.asarray(image.resize((self.edge_px, self.edge_px), resample))
        image = _middle(image)
        # The whole is scaled, not only the square: Pillow's `box` would save a quarter of it at 4:3, but may resample in another
        # order, and be off by several steps of 255 where the processor is exact.
        shorter = min(image.size)
        width, height = (self.shortest_px if side == shorter else int(self.shortest_px * side / shorter) for side in image.size)
        left, top = (width - self.edge_px) // 2, (height - self.edge_px) // 2
        square = image.resize((width, height), resample).crop((left, top, left + self.edge_px, top + self.edge_px))
        return np.asarray(square)


@dataclass(frozen=True, slots=True)
class Reduced:
    """No scaling, for a model whose own processor makes the square: only the ends of a very elongated picture are cut off."""

    edge_px: int

    def apply(self, image: Image.Image) -> RgbPixels:
        return np.asarray(_middle(image))


@dataclass(frozen=True, slots=True)
class Whole:
    """The whole picture, scaled to a shorter side of `edge_px`; not a model's input, but what `search/heat` cuts its tiles from."""

    edge_px: int

    def apply(self, image: Image.Image) -> RgbPixels:
        scale = self.edge_px / min(image.size)
        width, height = (max(self.edge_px, round(side * scale)) for side in image.size)
        return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))


def _middle(image: Image.Image) -> Image.Image:
    """The middle of an image, at most _MAX_ASPECT times as long as wide."""
    width, height = image.size
    new_width, new_height = min(width, _MAX_ASPECT * height), min(height, _MAX_ASPECT * width)
    if (new_width, new_height) == (width, height):
        return image
    left, top = (width - new_width) // 2, (height - new_height) // 2
    return image.crop((left, top, left + new_width, top + new_height))


def thumbnail(image: Image.Image, edge_px: int) -> bytes:
    """Return an RGB image from `decode` as a WebP file whose longer side is at most `edge_px`. Never enlarges.

    Encoded anew: no metadata or hidden content of the original file survives.
    """
    scale = min(1.0, edge_px / max(image.size))
    width, height = (max(1, round(side * scale)) for side in image.size)
    small = image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
    encoded = BytesIO()
    small.save(encoded, "WEBP", quality=_QUALITY, method=4, exif=b"", icc_profile=b"", xmp=b"")
    return encoded.getvalue()
