"""A canvas in unit coordinates: (0, 0) is the top left corner, (1, 1) the bottom right."""

from functools import lru_cache

from PIL import Image, ImageDraw

from demo.palette import RGB, mix

Point = tuple[float, float]


class Canvas:
    """A square picture."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.image = Image.new("RGB", (size, size))
        self._draw = ImageDraw.Draw(self.image)

    def gradient(self, top: RGB, bottom: RGB, start: float = 0.0, end: float = 1.0) -> None:
        """A band across the whole width, from `top` to `bottom`."""
        y0, y1 = round(start * self.size), round(end * self.size)
        self.image.paste(_band(top, bottom).resize((self.size, max(1, y1 - y0)), Image.Resampling.BILINEAR), (0, y0))

    def polygon(self, points: list[Point], fill: RGB) -> None:
        """A closed polygon."""
        self._draw.polygon([(x * self.size, y * self.size) for x, y in points], fill=fill)

    def disc(self, x: float, y: float, r: float, fill: RGB, squash: float = 1.0) -> None:
        """A circle, or with `squash` below 1 a flat ellipse."""
        s = self.size
        self._draw.ellipse(((x - r) * s, (y - r * squash) * s, (x + r) * s, (y + r * squash) * s), fill=fill)

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: RGB) -> None:
        """An upright rectangle."""
        s = self.size
        self._draw.rectangle((x0 * s, y0 * s, x1 * s, y1 * s), fill=fill)

    def line(self, points: list[Point], fill: RGB, width: float) -> None:
        """A polyline."""
        s = self.size
        self._draw.line([(x * s, y * s) for x, y in points], fill=fill, width=max(1, round(width * s)), joint="curve")

    def hill(self, y: float, rise: float, phase: float, fill: RGB) -> None:
        """Rolling ground from `y` downwards."""
        crest = [(i / 12, y - rise * (0.5 + 0.5 * _wave(i / 12 + phase))) for i in range(13)]
        self.polygon([(0, 1), *crest, (1, 1)], fill)


def _wave(x: float) -> float:
    x %= 1.0
    return 16 * x * (0.5 - x) if x < 0.5 else 16 * (x - 0.5) * (x - 1.0)


@lru_cache(maxsize=64)
def _band(top: RGB, bottom: RGB) -> Image.Image:
    band = Image.new("RGB", (1, 32))
    band.putdata([mix(top, bottom, y / 31) for y in range(32)])
    return band
