"""A pen that draws in unit coordinates: a thing knows only the square from -1 to 1, y downwards, never a pixel size."""

from collections.abc import Sequence
from math import cos, radians, sin

from PIL import Image, ImageDraw

from demo.palette import CREAM, INK, RGB, Paint

Point = tuple[float, float]


class Pen:
    """Draws one thing on a transparent square layer of `size` pixels, in the shades of one `paint`."""

    def __init__(self, size: int, paint: Paint) -> None:
        self.paint = paint
        self.layer = Image.new("RGBA", (size, size), (*paint.outline, 0))
        self._draw = ImageDraw.Draw(self.layer)
        self._half = size / 2

    def polygon(self, points: Sequence[Point], fill: RGB) -> None:
        """A closed polygon with straight edges."""
        self._draw.polygon([self._pixel(point) for point in points], fill=fill)

    def curve(self, points: Sequence[Point], fill: RGB) -> None:
        """A closed smooth shape through `points`."""
        self.polygon(smooth(points), fill)

    def ellipse(self, x: float, y: float, rx: float, ry: float, fill: RGB, turn: float = 0.0) -> None:  # noqa: PLR0913, PLR0917
        """An ellipse around (x, y), turned clockwise by `turn` degrees."""
        if not turn:
            box = (*self._pixel((x - rx, y - ry)), *self._pixel((x + rx, y + ry)))
            self._draw.ellipse(box, fill=fill)
            return
        c, s = cos(radians(turn)), sin(radians(turn))
        ring = ((rx * cos(radians(a)), ry * sin(radians(a))) for a in range(0, 360, 15))
        self.polygon([(x + u * c - v * s, y + u * s + v * c) for u, v in ring], fill)

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: RGB, radius: float = 0.0) -> None:  # noqa: PLR0913, PLR0917
        """An upright rectangle, its corners rounded by `radius`."""
        corners = (*self._pixel((x0, y0)), *self._pixel((x1, y1)))
        self._draw.rounded_rectangle(corners, radius=radius * self._half, fill=fill)

    def line(self, points: Sequence[Point], fill: RGB, width: float) -> None:
        """A polyline with round joints and ends."""
        pixels = [self._pixel(point) for point in points]
        self._draw.line(pixels, fill=fill, width=max(1, round(width * self._half)), joint="curve")
        for x, y in (points[0], points[-1]):
            self.ellipse(x, y, width / 2, width / 2, fill)

    def stroke(self, points: Sequence[Point], fill: RGB, width: float) -> None:
        """A smooth open line through `points`."""
        self.line(smooth(points, closed=False), fill, width)

    def pie(self, x: float, y: float, rx: float, ry: float, start: float, end: float, fill: RGB) -> None:  # noqa: PLR0913, PLR0917
        """The slice of an ellipse between two angles in degrees, clockwise from three o'clock."""
        box = (*self._pixel((x - rx, y - ry)), *self._pixel((x + rx, y + ry)))
        self._draw.pieslice(box, start, end, fill=fill)

    def eye(self, x: float, y: float, r: float = 0.09) -> None:
        """A round eye with a glint, readable on black and on white alike."""
        self.ellipse(x, y, r * 1.35, r * 1.35, CREAM)
        self.ellipse(x, y, r, r, INK)
        self.ellipse(x - r * 0.3, y - r * 0.35, r * 0.35, r * 0.35, CREAM)

    def _pixel(self, point: Point) -> Point:
        return (point[0] + 1) * self._half, (point[1] + 1) * self._half


def smooth(points: Sequence[Point], *, closed: bool = True, steps: int = 5) -> list[Point]:
    """Points along the Catmull-Rom spline through `points` (Catmull and Rom, 1974)."""
    count = len(points)
    spans = count if closed else count - 1
    path: list[Point] = []
    for i in range(spans):
        p0, p1, p2, p3 = (points[_index(i + k, count, closed=closed)] for k in (-1, 0, 1, 2))
        for step in range(steps):
            t = step / steps
            path.append((_spline(t, p0[0], p1[0], p2[0], p3[0]), _spline(t, p0[1], p1[1], p2[1], p3[1])))
    return path if closed else [*path, points[-1]]


def _index(i: int, count: int, *, closed: bool) -> int:
    return i % count if closed else min(max(i, 0), count - 1)


def _spline(t: float, a: float, b: float, c: float, d: float) -> float:
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
