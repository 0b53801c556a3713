"""Animals, each with a silhouette of its own: what is told apart at 20 pixels is the outline, not the face."""

from demo.palette import CREAM, INK, Paint, mix
from demo.pen import Pen

BILL = (255, 150, 30)
BLUSH = (255, 170, 170)


def dog(pen: Pen) -> None:
    """Side view on four legs: long body, raised tail, a drooping ear."""
    p = pen.paint
    pen.stroke([(-0.62, 0.1), (-0.86, -0.12), (-0.88, -0.46)], p.base, 0.17)
    for x, shade in ((-0.34, p.dark), (0.24, p.dark), (-0.56, p.base), (0.06, p.base)):
        pen.box(x, 0.25, x + 0.22, 0.94, shade, 0.1)
    pen.curve([(-0.68, 0.1), (-0.3, -0.08), (0.2, -0.08), (0.38, 0.2), (0.2, 0.56), (-0.3, 0.54), (-0.66, 0.44)], p.base)
    pen.curve([(0.0, 0.1), (0.1, -0.6), (0.42, -0.78), (0.66, -0.56), (0.6, -0.1), (0.34, 0.3)], p.base)
    pen.ellipse(0.68, -0.28, 0.3, 0.2, p.light)
    pen.ellipse(0.9, -0.36, 0.09, 0.08, INK)
    pen.curve([(0.08, -0.66), (0.26, -0.68), (0.28, -0.3), (0.16, 0.08), (0.0, -0.02), (-0.02, -0.36)], p.dark)
    pen.eye(0.5, -0.5, 0.08)
    pen.line([(0.06, 0.16), (0.42, 0.12)], mix(p.dark, CREAM, 0.8), 0.1)


def cat(pen: Pen) -> None:
    """Sitting and facing us: two pointed ears, whiskers, a tail curled up at the side."""
    p = pen.paint
    pen.stroke([(0.3, 0.82), (0.76, 0.76), (0.84, 0.32), (0.66, 0.04)], p.base, 0.19)
    pen.curve([(-0.3, -0.1), (0.3, -0.1), (0.5, 0.5), (0.46, 0.93), (-0.46, 0.93), (-0.5, 0.5)], p.base)
    for side in (-1, 1):
        pen.polygon([(side * 0.58, -0.95), (side * 0.62, -0.36), (side * 0.08, -0.62)], p.base)
        pen.polygon([(side * 0.5, -0.76), (side * 0.52, -0.5), (side * 0.26, -0.62)], BLUSH)
    pen.ellipse(0, -0.3, 0.62, 0.46, p.base)
    pen.ellipse(0, 0.56, 0.22, 0.28, p.light)
    for side in (-1, 1):
        pen.eye(side * 0.26, -0.36, 0.1)
        pen.line([(side * 0.3, -0.12), (side * 0.74, -0.16)], p.dark, 0.045)
        pen.line([(side * 0.3, -0.06), (side * 0.7, 0.04)], p.dark, 0.045)
        pen.ellipse(side * 0.2, 0.88, 0.18, 0.1, p.light)
    pen.polygon([(-0.08, -0.18), (0.08, -0.18), (0, -0.08)], BLUSH)


def rabbit(pen: Pen) -> None:
    """Side view crouching: very long upright ears, round back, a cotton tail."""
    p = pen.paint
    pen.ellipse(0.2, -0.6, 0.13, 0.4, p.dark, -14)
    pen.ellipse(0.42, -0.6, 0.14, 0.42, p.base, 8)
    pen.ellipse(0.42, -0.58, 0.06, 0.28, BLUSH, 8)
    pen.ellipse(-0.72, 0.5, 0.22, 0.22, CREAM)
    pen.ellipse(-0.16, 0.42, 0.58, 0.52, p.base)
    pen.ellipse(0.38, 0.02, 0.36, 0.32, p.base)
    pen.ellipse(-0.24, 0.6, 0.32, 0.3, p.dark)
    pen.ellipse(-0.22, 0.58, 0.28, 0.26, p.base)
    pen.ellipse(-0.1, 0.88, 0.36, 0.1, p.light)
    pen.ellipse(0.36, 0.84, 0.2, 0.13, p.light)
    pen.eye(0.46, -0.04, 0.085)
    pen.ellipse(0.72, 0.06, 0.07, 0.06, BLUSH)


def bird(pen: Pen) -> None:
    """In flight: both wings raised in a V, a forked tail, a short beak."""
    p = pen.paint
    pen.polygon([(-0.4, 0.1), (-0.98, 0.06), (-0.78, 0.3), (-0.96, 0.52), (-0.36, 0.38)], p.dark)
    pen.curve([(0.1, 0.1), (0.3, -0.5), (0.74, -0.92), (0.64, -0.34), (0.36, 0.2)], p.dark)
    pen.curve([(-0.56, 0.2), (-0.2, 0.0), (0.3, 0.0), (0.6, 0.22), (0.3, 0.52), (-0.2, 0.52)], p.base)
    pen.polygon([(0.82, 0.06), (1.0, 0.18), (0.8, 0.26)], BILL)
    pen.ellipse(0.6, 0.12, 0.28, 0.26, p.base)
    pen.ellipse(0.2, 0.4, 0.32, 0.13, p.light)
    pen.curve([(0.1, 0.24), (-0.1, -0.3), (-0.6, -0.86), (-0.62, -0.4), (-0.5, 0.0), (-0.28, 0.22)], p.light)
    pen.curve([(0.06, 0.24), (-0.12, -0.22), (-0.52, -0.64), (-0.5, -0.3), (-0.4, 0.0), (-0.24, 0.2)], p.base)
    pen.eye(0.68, 0.06, 0.07)


def duck(pen: Pen) -> None:
    """Afloat: a boat-shaped body with a cocked tail, a slim neck, a broad orange bill."""
    p = pen.paint
    pen.ellipse(0.7, -0.44, 0.29, 0.1, BILL, 6)
    pen.ellipse(0.68, -0.34, 0.22, 0.07, mix(BILL, INK, 0.25), 8)
    body = [(-0.96, -0.06), (-0.62, 0.16), (0.0, 0.08), (0.44, 0.16), (0.66, 0.46), (0.36, 0.9), (-0.36, 0.9), (-0.8, 0.56)]
    pen.curve(body, p.base)
    pen.stroke([(0.34, 0.42), (0.26, 0.0), (0.3, -0.4)], p.base, 0.34)
    pen.ellipse(0.32, -0.52, 0.34, 0.32, p.base)
    pen.line([(0.1, -0.14), (0.46, -0.14)], CREAM, 0.08)
    pen.curve([(-0.62, 0.34), (-0.2, 0.28), (0.26, 0.4), (0.1, 0.64), (-0.26, 0.7)], p.dark)
    pen.curve([(-0.58, 0.34), (-0.2, 0.28), (0.22, 0.38), (0.04, 0.54), (-0.26, 0.6)], p.light)
    pen.eye(0.42, -0.6, 0.08)


def fish(pen: Pen) -> None:
    """Side view: an oval with a wide tail fin, stripes and a round eye."""
    p = pen.paint
    pen.polygon([(-0.4, 0.0), (-0.98, -0.52), (-0.82, 0.0), (-0.98, 0.52)], p.dark)
    pen.curve([(-0.3, -0.3), (0.0, -0.76), (0.36, -0.66), (0.3, -0.3)], p.dark)
    pen.curve([(-0.1, 0.36), (-0.16, 0.7), (0.18, 0.6), (0.24, 0.36)], p.dark)
    pen.curve([(-0.62, 0.0), (-0.2, -0.4), (0.36, -0.48), (0.84, -0.16), (0.94, 0.06), (0.4, 0.46), (-0.2, 0.4)], p.base)
    for x, half in ((-0.24, 0.36), (0.06, 0.4)):
        pen.stroke([(x, -half), (x + 0.1, 0.0), (x, half)], CREAM if p.light != CREAM else STRIPE, 0.09)
    pen.ellipse(0.24, 0.16, 0.16, 0.09, p.dark, -24)
    pen.eye(0.6, -0.1, 0.1)
    pen.stroke([(0.72, 0.2), (0.82, 0.16), (0.92, 0.1)], p.dark, 0.05)


STRIPE = mix(INK, CREAM, 0.4)


def butterfly(pen: Pen) -> None:
    """From above: four rounded wings around a thin dark body with two feelers."""
    p = pen.paint
    spot = _spot(p)
    for side in (-1, 1):
        upper = [(0, 0), (0.3, -0.66), (0.76, -0.9), (0.96, -0.5), (0.7, -0.02)]
        lower = [(0, 0.06), (0.6, 0.06), (0.78, 0.46), (0.54, 0.86), (0.24, 0.62)]
        pen.curve([(side * x, y) for x, y in lower], p.dark)
        pen.curve([(side * x * 0.88, 0.04 + y * 0.88) for x, y in lower], p.base)
        pen.curve([(side * x, y) for x, y in upper], p.dark)
        pen.curve([(side * (0.03 + x * 0.88), y * 0.9) for x, y in upper], p.base)
        pen.ellipse(side * 0.62, -0.52, 0.16, 0.16, spot)
        pen.ellipse(side * 0.46, 0.46, 0.12, 0.12, spot)
        pen.stroke([(0, -0.4), (side * 0.12, -0.72), (side * 0.3, -0.92)], INK, 0.06)
    pen.ellipse(0, 0.04, 0.1, 0.54, INK)


def _spot(paint: Paint) -> tuple[int, int, int]:
    return CREAM if sum(paint.base) < 600 else mix(paint.base, INK, 0.4)
