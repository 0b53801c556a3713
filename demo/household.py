"""Things of house and playroom: cup, hat, umbrella, ball, guitar, clock, chair, house."""

from math import cos, pi, sin

from demo.palette import CREAM, INK, WOOD, mix
from demo.pen import Pen

WINDOW = (255, 232, 150)
SILVER = (206, 212, 222)


def cup(pen: Pen) -> None:
    """A steaming mug with one round handle."""
    p = pen.paint
    for x in (-0.4, 0.06):
        pen.stroke([(x, -0.5), (x + 0.1, -0.64), (x - 0.06, -0.78), (x + 0.04, -0.94)], SILVER, 0.09)
    ring = [(0.42 + 0.4 * cos(a * pi / 8), 0.2 + 0.36 * sin(a * pi / 8)) for a in range(-6, 7)]
    pen.line(ring, p.dark, 0.17)
    pen.curve([(-0.74, -0.32), (0.4, -0.32), (0.42, 0.3), (0.28, 0.84), (-0.16, 0.93), (-0.62, 0.84), (-0.76, 0.3)], p.base)
    pen.ellipse(-0.17, -0.32, 0.57, 0.13, p.light)
    pen.ellipse(-0.17, -0.31, 0.46, 0.09, (92, 58, 40))
    pen.ellipse(-0.56, 0.24, 0.07, 0.3, p.light)


def hat(pen: Pen) -> None:
    """A top hat: tall crown, a pale band, a wide flat brim."""
    p = pen.paint
    pen.ellipse(0, 0.62, 0.98, 0.24, p.dark)
    pen.ellipse(0, 0.56, 0.98, 0.22, p.base)
    pen.polygon([(-0.6, -0.7), (0.6, -0.7), (0.5, 0.56), (-0.5, 0.56)], p.base)
    pen.ellipse(0, 0.55, 0.5, 0.12, p.base)
    band = CREAM if p.base != (250, 250, 248) else INK
    pen.polygon([(-0.535, 0.14), (0.535, 0.14), (0.505, 0.44), (-0.505, 0.44)], band)
    pen.ellipse(0, -0.7, 0.6, 0.14, p.light)


def umbrella(pen: Pen) -> None:
    """An open dome with a scalloped hem, ribs and a crooked handle."""
    p = pen.paint
    pen.line([(0, -0.9), (0, 0.7)], WOOD, 0.1)
    pen.stroke([(0, 0.68), (0.04, 0.88), (0.2, 0.92), (0.32, 0.76)], WOOD, 0.11)
    pen.pie(0, 0.1, 0.98, 0.9, 180, 360, p.base)
    pen.pie(0, 0.1, 0.36, 0.9, 180, 360, p.light)
    for x in (-0.66, 0.0, 0.66):
        pen.ellipse(x, 0.1, 0.33, 0.12, p.dark)
    for side in (-1, 1):
        pen.stroke([(0, -0.8), (side * 0.26, -0.42), (side * 0.34, 0.08)], p.dark, 0.05)
    pen.line([(0, -0.98), (0, -0.8)], INK, 0.08)


def ball(pen: Pen) -> None:
    """A beach ball of coloured and pale panels."""
    p = pen.paint
    pen.ellipse(0, 0.08, 0.86, 0.86, p.base)
    pale = CREAM if p.base != (250, 250, 248) else SILVER
    pen.curve([(-0.1, -0.44), (-0.66, -0.44), (-0.86, 0.06), (-0.72, 0.54), (-0.44, 0.1)], pale)
    pen.curve([(0.0, -0.44), (0.36, -0.6), (0.74, -0.3), (0.86, 0.1), (0.5, -0.02)], pale)
    pen.curve([(-0.06, -0.3), (0.16, 0.3), (0.4, 0.84), (0.0, 0.94), (-0.36, 0.86), (-0.16, 0.3)], pale)
    pen.ellipse(-0.06, -0.42, 0.16, 0.13, p.dark)


def guitar(pen: Pen) -> None:
    """Leaning: a figure-of-eight body with a sound hole, a long neck, a peg head."""
    p = pen.paint
    pen.line([(-0.1, 0.2), (0.62, -0.74)], WOOD, 0.17)
    pen.line([(0.62, -0.74), (0.76, -0.92)], INK, 0.27)
    upper = [(-0.46, 0.02), (-0.32, -0.22), (-0.04, -0.36), (0.34, -0.2), (0.38, 0.14)]
    lower = [(0.24, 0.36), (0.24, 0.74), (-0.12, 0.97), (-0.62, 0.9), (-0.9, 0.56), (-0.8, 0.16)]
    pen.curve([*upper, *lower], p.base)
    pen.ellipse(-0.04, 0.16, 0.18, 0.18, INK)
    pen.line([(-0.54, 0.46), (-0.26, 0.68)], p.dark, 0.11)
    pen.line([(-0.4, 0.57), (0.62, -0.74)], CREAM, 0.05)


def clock(pen: Pen) -> None:
    """An alarm clock: white face with hands inside a thick coloured rim, two bells, two feet."""
    p = pen.paint
    for side in (-1, 1):
        pen.line([(side * 0.3, 0.6), (side * 0.6, 0.94)], p.dark, 0.18)
        pen.ellipse(side * 0.5, -0.68, 0.34, 0.24, p.base, side * 38)
    pen.line([(0, -0.6), (0, -0.9)], p.dark, 0.1)
    pen.ellipse(0, 0.12, 0.82, 0.8, p.dark)
    pen.ellipse(0, 0.1, 0.8, 0.78, p.base)
    pen.ellipse(0, 0.1, 0.52, 0.51, CREAM)
    pen.line([(0, 0.1), (0, -0.24)], INK, 0.1)
    pen.line([(0, 0.1), (0.24, 0.24)], INK, 0.1)


def chair(pen: Pen) -> None:
    """A kitchen chair seen from the side: tall back, a seat, thin legs with air between."""
    p = pen.paint
    for x, shade in ((-0.3, p.dark), (0.42, p.dark)):
        pen.box(x, 0.14, x + 0.14, 0.84, shade)
    pen.box(-0.66, -0.98, -0.48, 0.94, p.base, 0.06)
    pen.box(-0.16, -0.9, -0.02, 0.1, p.dark, 0.06)
    for y in (-0.8, -0.44, -0.12):
        pen.box(-0.6, y, -0.06, y + 0.19, p.base, 0.05)
    pen.box(0.52, 0.1, 0.7, 0.94, p.base, 0.06)
    pen.polygon([(-0.66, 0.26), (-0.3, 0.0), (0.72, 0.0), (0.72, 0.26)], p.base)
    pen.polygon([(-0.5, 0.1), (-0.3, 0.0), (0.66, 0.0), (0.62, 0.1)], p.light)


def house(pen: Pen) -> None:
    """Coloured walls under a slate gable, a door, lit windows, a chimney."""
    p = pen.paint
    slate = mix(INK, p.dark, 0.25)
    pen.box(0.38, -0.9, 0.6, -0.3, mix(p.dark, WOOD, 0.6))
    pen.box(-0.76, -0.2, 0.76, 0.94, p.base)
    pen.polygon([(-1.0, -0.12), (0, -0.96), (1.0, -0.12)], slate)
    pen.polygon([(-0.5, -0.2), (0, -0.62), (0.5, -0.2)], p.light)
    pen.box(-0.16, 0.38, 0.18, 0.94, WOOD, 0.06)
    for x in (-0.58, 0.32):
        pen.box(x, 0.1, x + 0.28, 0.42, WINDOW)
        pen.line([(x + 0.14, 0.1), (x + 0.14, 0.42)], slate, 0.05)
