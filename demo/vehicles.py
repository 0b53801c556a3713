"""Things that carry: car, train, boat, rocket, balloon, kite."""

from demo.palette import CREAM, INK, STEEL, WOOD, mix
from demo.pen import Pen

GLASS = (190, 228, 246)
FLAME = (255, 170, 40)


def _wheel(pen: Pen, x: float, y: float, r: float) -> None:
    pen.ellipse(x, y, r, r, INK)
    pen.ellipse(x, y, r * 0.5, r * 0.5, STEEL)


def car(pen: Pen) -> None:
    """Side view: low bonnet, domed cabin with two windows, two big wheels."""
    p = pen.paint
    pen.curve([(-0.62, 0.16), (-0.42, -0.36), (-0.06, -0.48), (0.28, -0.4), (0.58, 0.14)], p.base)
    pen.polygon([(-0.44, 0.1), (-0.3, -0.26), (-0.06, -0.32), (-0.06, 0.1)], GLASS)
    pen.polygon([(0.06, 0.1), (0.06, -0.32), (0.22, -0.26), (0.42, 0.1)], GLASS)
    pen.curve(
        [(-0.96, 0.2), (-0.6, 0.06), (0.5, 0.06), (0.92, 0.2), (0.97, 0.56), (0.5, 0.64), (-0.6, 0.64), (-0.97, 0.54)], p.base
    )
    pen.line([(-0.84, 0.36), (0.86, 0.36)], p.light, 0.06)
    pen.ellipse(0.88, 0.3, 0.09, 0.09, (255, 236, 150))
    _wheel(pen, -0.52, 0.64, 0.28)
    _wheel(pen, 0.52, 0.64, 0.28)


def train(pen: Pen) -> None:
    """A steam engine: tall cab, round boiler, chimney with a puff, three wheels."""
    p = pen.paint
    for x, y, r in ((0.5, -0.8, 0.16), (0.26, -0.86, 0.12)):
        pen.ellipse(x, y, r, r, (232, 234, 240))
    pen.polygon([(0.46, -0.2), (0.7, -0.2), (0.8, -0.66), (0.36, -0.66)], p.dark)
    pen.box(-0.3, -0.22, 0.88, 0.42, p.base, 0.16)
    pen.box(0.78, -0.14, 0.94, 0.34, p.dark, 0.06)
    pen.box(-0.9, -0.6, -0.16, 0.46, p.base)
    pen.box(-0.98, -0.76, -0.08, -0.56, p.dark, 0.06)
    pen.box(-0.74, -0.44, -0.32, -0.04, GLASS)
    pen.line([(0.2, -0.2), (0.2, 0.4)], p.light, 0.08)
    pen.polygon([(0.6, 0.86), (0.98, 0.86), (0.84, 0.4), (0.6, 0.4)], STEEL)
    pen.box(-0.92, 0.4, 0.86, 0.56, p.dark)
    for x, r in ((-0.58, 0.32), (0.1, 0.24), (0.56, 0.24)):
        _wheel(pen, x, 0.94 - r, r)


def boat(pen: Pen) -> None:
    """A hull in the colour under two pale sails and a pennant."""
    p = pen.paint
    pen.box(-0.09, -0.86, 0.01, 0.4, WOOD)
    pen.polygon([(-0.04, -0.98), (-0.04, -0.76), (-0.36, -0.87)], p.base)
    pen.polygon([(0.06, -0.76), (0.06, 0.26), (0.8, 0.26)], CREAM)
    pen.polygon([(0.06, -0.28), (0.06, -0.02), (0.6, -0.02), (0.42, -0.28)], p.base)
    pen.polygon([(-0.16, -0.56), (-0.16, 0.26), (-0.74, 0.26)], CREAM)
    pen.curve(
        [(-0.98, 0.34), (-0.4, 0.4), (0.4, 0.4), (0.98, 0.3), (0.78, 0.72), (0.52, 0.93), (-0.56, 0.93), (-0.8, 0.72)], p.base
    )
    pen.line([(-0.8, 0.56), (0.82, 0.54)], p.light, 0.07)


def rocket(pen: Pen) -> None:
    """Upright: a pointed hull with a porthole, two fins and a flame."""
    p = pen.paint
    pen.curve([(-0.2, 0.6), (0.2, 0.6), (0.14, 0.8), (0, 0.98), (-0.14, 0.8)], FLAME)
    for side in (-1, 1):
        pen.polygon([(side * 0.26, 0.02), (side * 0.66, 0.5), (side * 0.62, 0.8), (side * 0.2, 0.6)], p.dark)
    pen.curve([(0, -1.02), (0.3, -0.62), (0.4, -0.1), (0.26, 0.62), (-0.26, 0.62), (-0.4, -0.1), (-0.3, -0.62)], p.base)
    pen.curve([(0, -1.0), (0.2, -0.74), (0.28, -0.56), (0, -0.5), (-0.28, -0.56), (-0.2, -0.74)], p.dark)
    pen.ellipse(0, -0.14, 0.25, 0.25, STEEL)
    pen.ellipse(0, -0.14, 0.17, 0.17, GLASS)
    pen.line([(-0.22, 0.42), (0.22, 0.42)], p.light, 0.08)


def balloon(pen: Pen) -> None:
    """A toy balloon: an egg upside down, a knot, a curling string."""
    p = pen.paint
    pen.stroke([(0, 0.3), (0.1, 0.52), (-0.1, 0.72), (0.06, 0.98)], mix(INK, CREAM, 0.25), 0.07)
    pen.polygon([(0, 0.2), (0.14, 0.44), (-0.14, 0.44)], p.dark)
    pen.curve(
        [(0, -1.0), (0.46, -0.86), (0.64, -0.42), (0.44, 0.06), (0, 0.32), (-0.44, 0.06), (-0.64, -0.42), (-0.46, -0.86)], p.base
    )
    pen.ellipse(-0.28, -0.56, 0.12, 0.24, p.light, 24)


def kite(pen: Pen) -> None:
    """A tilted diamond with a cross of spars and a tail of bows."""
    p = pen.paint
    pen.stroke([(-0.2, 0.46), (-0.04, 0.66), (-0.3, 0.8), (-0.1, 0.98)], INK, 0.06)
    for x, y in ((-0.08, 0.64), (-0.22, 0.86)):
        pen.polygon([(x - 0.2, y - 0.1), (x + 0.2, y + 0.1), (x + 0.2, y - 0.1), (x - 0.2, y + 0.1)], p.dark)
    top, right, bottom, left, heart = (0.3, -1.0), (0.82, -0.14), (-0.22, 0.56), (-0.62, -0.5), (0.12, -0.38)
    pen.polygon([top, right, bottom, left], p.base)
    pen.polygon([top, right, heart], p.light)
    pen.polygon([left, heart, bottom], p.light)
    pen.line([top, bottom], p.dark, 0.06)
    pen.line([left, right], p.dark, 0.06)
