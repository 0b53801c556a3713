"""A part of a picture, as it is displayed: with its EXIF orientation applied."""

from dataclasses import dataclass
from math import ceil, isfinite
from typing import Final

from PIL import Image

from ml_api.errors import InvalidCrop

_ROUNDING: Final = 1e-6
"""The share of a side by which a crop may exceed it: 0.7 + 0.3 is not always 1 in floats."""


@dataclass(frozen=True, slots=True)
class Crop:
    """A rectangle whose upper left corner is at `x`, `y`. All four numbers are pixels of the whole picture or, if none is above 1,
    shares of its width and height.

    Raises InvalidCrop for a rectangle that fits into no picture.
    """

    x: float
    y: float
    width: float
    height: float

    def __post_init__(self) -> None:
        numbers = self._numbers
        if not all(map(isfinite, numbers)) or min(numbers) < 0 or not (self.width and self.height):
            raise InvalidCrop(f"must be [x, y, width, height] with x and y from 0 and both sides above 0 (got {self})")
        if self._in_shares:
            self._check(1, 1)

    def __str__(self) -> str:
        return f"[{', '.join(f'{number:g}' for number in self._numbers)}]"

    @property
    def _numbers(self) -> tuple[float, float, float, float]:
        return self.x, self.y, self.width, self.height

    @property
    def _in_shares(self) -> bool:
        return max(self._numbers) <= 1

    def _check(self, width: int, height: int) -> None:
        if self.x + self.width > width * (1 + _ROUNDING) or self.y + self.height > height * (1 + _ROUNDING):
            size = "its sides, which are 1 for shares" if self._in_shares else f"its {width:,} x {height:,} pixels, as displayed"
            raise InvalidCrop(f"{self} reaches out of the image: x + width and y + height must be within {size}")

    def edge_px(self, edge_px: int, width: int, height: int) -> int:
        """The edge in pixels to decode the whole picture for, so that its crop has an edge of `edge_px`; at most the picture's own.

        `width` and `height` are the file's, in either orientation.
        """
        shorter, whole = min(self.width, self.height), 1 if self._in_shares else min(width, height)
        return ceil(min(edge_px * max(1.0, whole / shorter), max(edge_px, width, height)))

    def of(self, image: Image.Image, width: int, height: int) -> Image.Image:
        """Cut the rectangle, at least one pixel, out of `image`: a picture of `width` x `height` pixels that may have been reduced.

        Raises InvalidCrop if it reaches out of the picture.
        """
        if not self._in_shares:
            self._check(width, height)
        whole_width, whole_height = (1, 1) if self._in_shares else (width, height)
        across, down = image.width / whole_width, image.height / whole_height
        left, top = min(int(self.x * across), image.width - 1), min(int(self.y * down), image.height - 1)
        right, bottom = round((self.x + self.width) * across), round((self.y + self.height) * down)
        return image.crop((left, top, min(max(right, left + 1), image.width), min(max(bottom, top + 1), image.height)))
