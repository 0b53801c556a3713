"""Things that grow or shine: tree, flower, mushroom, apple, star."""

from math import cos, pi, sin

from demo.palette import CREAM, INK, LEAF, WOOD, mix
from demo.pen import Pen


def tree(pen: Pen) -> None:
    """A broad cloud of a crown on a brown trunk."""
    p = pen.paint
    pen.polygon([(-0.14, 0.2), (0.14, 0.2), (0.24, 0.95), (-0.24, 0.95)], WOOD)
    pen.line([(0.05, 0.4), (0.36, 0.14)], WOOD, 0.1)
    for x, y, r in ((-0.48, 0.02, 0.42), (0.48, 0.02, 0.42), (0, 0.08, 0.42), (-0.3, -0.42, 0.44), (0.32, -0.42, 0.44)):
        pen.ellipse(x, y, r, r, p.dark if y > 0 else p.base)
    for x, y, r in ((-0.5, -0.08, 0.38), (0.46, -0.08, 0.4), (0, -0.2, 0.5), (0, -0.6, 0.34)):
        pen.ellipse(x, y, r, r, p.base)
    for x, y, r in ((-0.3, -0.58, 0.16), (0.24, -0.3, 0.13), (-0.46, -0.1, 0.12), (0.34, -0.66, 0.08)):
        pen.ellipse(x, y, r, r, p.light)


def flower(pen: Pen) -> None:
    """Six round petals about a golden heart, on a stem with two leaves."""
    p = pen.paint
    pen.line([(0, 0), (0, 0.95)], mix(LEAF, INK, 0.2), 0.12)
    pen.curve([(0, 0.84), (-0.26, 0.44), (-0.62, 0.42), (-0.42, 0.72)], LEAF)
    pen.curve([(0, 0.84), (0.26, 0.44), (0.62, 0.42), (0.42, 0.72)], LEAF)
    for i in range(6):
        x, y = 0.44 * cos(i * pi / 3), -0.34 + 0.44 * sin(i * pi / 3)
        pen.ellipse(x, y, 0.26, 0.26, p.dark)
        pen.ellipse(x, y, 0.22, 0.22, p.base)
    heart = (255, 196, 40) if p.base != (255, 222, 48) else WOOD
    pen.ellipse(0, -0.34, 0.25, 0.25, heart)
    pen.ellipse(0.04, -0.3, 0.15, 0.15, mix(heart, INK, 0.25))


def mushroom(pen: Pen) -> None:
    """A half-round cap with pale spots on a thick pale stalk."""
    p = pen.paint
    pen.curve([(-0.24, -0.04), (0.24, -0.04), (0.3, 0.5), (0.4, 0.92), (-0.4, 0.92), (-0.3, 0.5)], (240, 226, 200))
    pen.ellipse(0, 0.06, 0.62, 0.12, (205, 188, 160))
    pen.curve(
        [(-0.94, 0.04), (-0.8, -0.5), (-0.3, -0.88), (0.3, -0.88), (0.8, -0.5), (0.94, 0.04), (0.4, 0.0), (-0.4, 0.0)], p.base
    )
    dot = CREAM if p.base != (250, 250, 248) else p.dark
    for x, y, r in ((-0.46, -0.36, 0.16), (0.1, -0.58, 0.18), (0.54, -0.28, 0.15), (-0.04, -0.16, 0.1)):
        pen.ellipse(x, y, r, r * 0.9, dot)


def apple(pen: Pen) -> None:
    """Two shoulders and a dip, a stalk and one green leaf."""
    p = pen.paint
    outline = [(0, -0.38), (-0.42, -0.56), (-0.84, -0.28), (-0.84, 0.28), (-0.5, 0.82), (-0.18, 0.92), (0, 0.84)]
    pen.curve([*outline, *[(-x, y) for x, y in reversed(outline[1:-1])]], p.base)
    pen.stroke([(0, -0.34), (0.04, -0.64), (0.14, -0.84)], WOOD, 0.12)
    pen.curve([(0.1, -0.56), (0.3, -0.86), (0.72, -0.86), (0.5, -0.58)], LEAF)
    pen.ellipse(-0.46, -0.08, 0.14, 0.26, p.light, 18)


def star(pen: Pen) -> None:
    """A plump five-pointed star."""
    p = pen.paint
    pen.polygon(_star(1.0), p.base)
    pen.polygon(_star(0.62), p.light)
    pen.ellipse(-0.15, 0.0, 0.06, 0.1, INK)
    pen.ellipse(0.15, 0.0, 0.06, 0.1, INK)
    pen.stroke([(-0.12, 0.2), (0, 0.27), (0.12, 0.2)], INK, 0.05)


def _star(reach: float) -> list[tuple[float, float]]:
    points = []
    for i in range(10):
        r = reach if i % 2 == 0 else reach * 0.46
        points.append((r * sin(i * pi / 5), 0.06 - r * cos(i * pi / 5)))
    return points
