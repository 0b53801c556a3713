"""The settings: each paints a calm backdrop, so that what stands in front of it stays the loudest thing in the picture."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from demo.canvas import Canvas
from demo.palette import CREAM, INK, RGB, mix


def _cloud(canvas: Canvas, x: float, y: float, r: float, fill: RGB) -> None:
    for dx, dy, share in ((-1.2, 0.2, 0.7), (0, 0, 1.0), (1.2, 0.2, 0.75)):
        canvas.disc(x + dx * r, y + dy * r, r * share, fill, 0.8)


def _pine(canvas: Canvas, x: float, foot: float, height: float, fill: RGB, snow: RGB | None = None) -> None:  # noqa: PLR0913, PLR0917
    canvas.box(x - 0.01, foot - 0.04, x + 0.01, foot, (104, 78, 66))
    for tier in range(3):
        top = foot - 0.03 - height * (0.3 + 0.35 * tier)
        half = height * (0.34 - 0.08 * tier)
        base = top + height * 0.44
        canvas.polygon([(x, top), (x + half, base), (x - half, base)], fill)
        if snow:
            canvas.polygon([(x, top), (x + half * 0.5, top + height * 0.2), (x - half * 0.5, top + height * 0.2)], snow)


def snow(canvas: Canvas, random: Random) -> None:
    """White hills under a pale sky, frosted pines, flakes in the air."""
    canvas.gradient((158, 196, 228), (222, 236, 246), 0, 0.7)
    for x in (random.uniform(0.02, 0.3), random.uniform(0.7, 0.98)):
        _pine(canvas, x, 0.58, random.uniform(0.26, 0.36), (110, 150, 150), (240, 246, 252))
    canvas.hill(0.58, 0.06, random.random(), (226, 236, 247))
    canvas.hill(0.74, 0.05, random.random(), (243, 248, 254))
    for _ in range(26):
        canvas.disc(random.random(), random.random() * 0.66, random.uniform(0.006, 0.013), (255, 255, 255))


def beach(canvas: Canvas, random: Random) -> None:
    """Warm sand in front of a strip of turquoise water, the sun, a palm."""
    canvas.gradient((126, 206, 240), (206, 240, 246), 0, 0.42)
    canvas.disc(random.uniform(0.1, 0.9), 0.12, 0.075, (255, 240, 160))
    canvas.gradient((44, 176, 196), (124, 220, 214), 0.4, 0.56)
    canvas.hill(0.56, 0.03, random.random(), (250, 250, 240))
    canvas.hill(0.58, 0.03, random.random(), (248, 220, 158))
    canvas.hill(0.82, 0.04, random.random(), (240, 206, 138))
    left = random.random() < 0.5
    x, lean = (0.08, 0.05) if left else (0.92, -0.05)
    canvas.line([(x, 0.64), (x + lean * 0.3, 0.44), (x + lean, 0.26)], (150, 108, 70), 0.03)
    for dx, dy in ((-0.16, 0.05), (-0.11, -0.07), (0.02, -0.12), (0.13, -0.06), (0.16, 0.06)):
        tip = (x + lean + dx, 0.26 + dy)
        canvas.polygon([(x + lean, 0.24), (x + lean + dx * 0.6, 0.21 + dy), tip, (x + lean, 0.28)], (66, 150, 90))
    for _ in range(5):
        canvas.disc(random.random(), random.uniform(0.68, 0.97), 0.012, (226, 186, 120), 0.6)


def forest(canvas: Canvas, random: Random) -> None:
    """Between tall trunks: a dark green hall of trees with a mossy floor."""
    canvas.gradient((44, 92, 72), (110, 158, 104), 0, 0.7)
    for i in range(7):
        x = (i + random.uniform(0.2, 0.8)) / 7
        canvas.box(x - 0.018, 0, x + 0.018, 0.64, (58, 92, 72))
    for x in (random.uniform(0.0, 0.1), random.uniform(0.36, 0.62), random.uniform(0.9, 1.0)):
        canvas.polygon([(x - 0.04, 0), (x + 0.04, 0), (x + 0.06, 0.7), (x - 0.06, 0.7)], (92, 70, 54))
    for i in range(6):
        canvas.disc(i / 5 + random.uniform(-0.05, 0.05), 0.0, 0.15, (34, 84, 58), 0.8)
    canvas.hill(0.66, 0.05, random.random(), (70, 124, 66))
    canvas.hill(0.84, 0.05, random.random(), (86, 140, 72))
    for _ in range(6):
        x, y = random.random(), random.uniform(0.7, 0.96)
        canvas.line([(x - 0.02, y - 0.035), (x, y), (x + 0.02, y - 0.035)], (60, 112, 58), 0.01)


def night(canvas: Canvas, random: Random) -> None:
    """A deep blue sky full of points of light, a crescent moon, dark hills."""
    canvas.gradient((16, 20, 58), (58, 58, 120), 0, 0.75)
    for _ in range(34):
        canvas.disc(random.random(), random.random() * 0.66, random.choice((0.005, 0.007, 0.01)), (246, 240, 200))
    x = random.choice((0.16, 0.84))
    canvas.disc(x, 0.17, 0.09, (252, 242, 190))
    canvas.disc(x + 0.045, 0.15, 0.08, (26, 28, 68))
    canvas.hill(0.66, 0.09, random.random(), (38, 44, 92))
    canvas.hill(0.8, 0.06, random.random(), (28, 34, 72))


def sea(canvas: Canvas, random: Random) -> None:
    """Open water to the horizon: blue waves in rows with white crests."""
    canvas.gradient((188, 222, 246), (226, 240, 250), 0, 0.34)
    for _ in range(2):
        _cloud(canvas, random.random(), random.uniform(0.08, 0.2), 0.06, (250, 252, 255))
    canvas.gradient((64, 132, 196), (24, 80, 152), 0.32, 1)
    for row in range(6):
        y = 0.38 + row * 0.11
        shift = random.random()
        for i in range(-1, 5):
            x = (i + shift) / 4.2
            canvas.line([(x, y), (x + 0.04, y - 0.018), (x + 0.09, y), (x + 0.13, y + 0.008)], (132, 186, 228), 0.012)


def city(canvas: Canvas, random: Random) -> None:
    """A street between grey towers with lit windows, a road with a dashed line."""
    canvas.gradient((238, 204, 186), (250, 232, 210), 0, 0.7)
    x = -0.04
    while x < 1.0:
        width, top = random.uniform(0.14, 0.22), random.uniform(0.1, 0.4)
        wall = random.choice(((122, 128, 150), (142, 146, 166), (104, 112, 138)))
        canvas.box(x, top, x + width, 0.7, wall)
        for row in range(5):
            for column in range(3):
                wx, wy = x + 0.025 + column * (width - 0.03) / 3, top + 0.04 + row * 0.085
                if wy < 0.62 and random.random() < 0.8:
                    canvas.box(wx, wy, wx + 0.022, wy + 0.04, (250, 226, 150))
        x += width + 0.012
    canvas.box(0, 0.66, 1, 0.72, (190, 188, 190))
    canvas.gradient((112, 112, 124), (92, 92, 106), 0.71, 1)
    shift = random.random() * 0.2
    for i in range(-1, 5):
        canvas.box(i * 0.24 + shift, 0.86, i * 0.24 + shift + 0.12, 0.885, (238, 232, 214))


def room(canvas: Canvas, random: Random) -> None:
    """Indoors: striped wallpaper, a window, a picture, floorboards and a rug."""
    canvas.gradient((236, 206, 190), (244, 220, 204), 0, 0.64)
    for i in range(0, 20, 2):
        canvas.box(i / 20, 0, (i + 1) / 20, 0.62, (246, 226, 212))
    left, right = random.sample((0.05, 0.36, 0.68), 2)
    canvas.box(left, 0.08, left + 0.26, 0.4, (250, 248, 242))
    canvas.box(left + 0.02, 0.1, left + 0.24, 0.38, (176, 218, 240))
    canvas.line([(left + 0.13, 0.1), (left + 0.13, 0.38)], (250, 248, 242), 0.02)
    canvas.line([(left + 0.02, 0.24), (left + 0.24, 0.24)], (250, 248, 242), 0.02)
    canvas.box(right + 0.03, 0.14, right + 0.2, 0.32, (168, 122, 86))
    canvas.box(right + 0.05, 0.16, right + 0.18, 0.3, (214, 228, 206))
    canvas.box(0, 0.61, 1, 0.645, (252, 244, 232))
    canvas.gradient((196, 146, 100), (176, 124, 82), 0.645, 1)
    for y in (0.72, 0.81, 0.91):
        canvas.line([(0, y), (1, y)], (160, 112, 74), 0.006)
    canvas.disc(0.5, 0.85, 0.42, (206, 174, 160), 0.26)
    canvas.disc(0.5, 0.85, 0.36, (226, 202, 186), 0.26)


def desert(canvas: Canvas, random: Random) -> None:
    """Orange dunes, a hot hazy sky, tall cacti."""
    canvas.gradient((250, 190, 120), (254, 232, 180), 0, 0.6)
    canvas.disc(random.uniform(0.2, 0.8), 0.2, 0.1, (255, 246, 200))
    canvas.hill(0.56, 0.1, random.random(), (226, 156, 92))
    for x in (random.uniform(0.03, 0.12), random.uniform(0.88, 0.97)):
        height, green = random.uniform(0.22, 0.3), (104, 148, 92)
        canvas.line([(x, 0.66), (x, 0.66 - height)], green, 0.034)
        canvas.disc(x, 0.66 - height, 0.017, green)
        canvas.line([(x, 0.58), (x - 0.05, 0.58), (x - 0.05, 0.5)], green, 0.024)
        canvas.line([(x, 0.55), (x + 0.05, 0.55), (x + 0.05, 0.46)], green, 0.024)
    canvas.hill(0.68, 0.07, random.random(), (238, 176, 106))
    canvas.hill(0.86, 0.06, random.random(), (228, 160, 92))


def meadow(canvas: Canvas, random: Random) -> None:
    """Bright rolling grass with daisies under a clear blue sky."""
    canvas.gradient((104, 178, 240), (206, 232, 250), 0, 0.6)
    _cloud(canvas, random.uniform(0.1, 0.9), random.uniform(0.1, 0.2), 0.08, (252, 254, 255))
    canvas.hill(0.54, 0.09, random.random(), (150, 206, 104))
    canvas.hill(0.68, 0.06, random.random(), (130, 196, 86))
    canvas.hill(0.88, 0.05, random.random(), (112, 182, 72))
    for _ in range(14):
        x, y = random.random(), random.uniform(0.64, 0.98)
        canvas.disc(x, y, 0.013, CREAM)
        canvas.disc(x, y, 0.006, (250, 200, 60))


def mountains(canvas: Canvas, random: Random) -> None:
    """Violet peaks with white caps in rows, a stony path below."""
    canvas.gradient((200, 190, 226), (244, 222, 226), 0, 0.6)
    for x, peak, half in ((random.uniform(0.1, 0.35), 0.1, 0.4), (random.uniform(0.6, 0.9), 0.05, 0.44), (0.5, 0.24, 0.36)):
        canvas.polygon([(x, peak), (x + half, 0.68), (x - half, 0.68)], mix((116, 108, 156), INK, 0.3 if x == 0.5 else 0.05))
        cap = half * 0.26
        drop = (0.68 - peak) * 0.26
        zigzag = [(x + cap * 0.4, peak + drop * 0.8), (x, peak + drop * 1.3), (x - cap * 0.4, peak + drop * 0.8)]
        canvas.polygon([(x, peak), (x + cap, peak + drop), *zigzag, (x - cap, peak + drop)], (250, 248, 252))
    canvas.hill(0.68, 0.04, random.random(), (150, 150, 138))
    canvas.hill(0.84, 0.04, random.random(), (168, 166, 150))
    for _ in range(7):
        canvas.disc(random.random(), random.uniform(0.72, 0.97), random.uniform(0.012, 0.024), (132, 132, 124), 0.6)


@dataclass(frozen=True)
class Setting:
    """A place: how it is painted, and the phrases that put something there, the plainest first."""

    name: str
    paint: Callable[[Canvas, Random], None]
    phrases: tuple[str, ...]


_PLACES = (
    Setting("snow", snow, ("in the snow", "on a snowy field", "on a snowy day", "on the snow", "in winter")),
    Setting("beach", beach, ("on the beach", "at the beach", "on a sandy beach", "on the sand by the shore")),
    Setting("forest", forest, ("in the forest", "in the woods", "in a forest", "deep in the forest", "between tall trunks")),
    Setting("night", night, ("at night", "under the night sky", "by moonlight", "in the moonlight", "in the dark")),
    Setting("sea", sea, ("on the sea", "in the sea", "at sea", "on the ocean", "in the water among the waves")),
    Setting("city", city, ("in the city", "on a city street", "in the street", "in town", "between tall buildings")),
    Setting("room", room, ("in a room", "indoors", "inside a cosy room", "in the living room")),
    Setting("desert", desert, ("in the desert", "among the dunes", "in a hot desert", "among the cacti")),
    Setting("meadow", meadow, ("in a meadow", "on the grass", "on a green meadow", "in the grass", "in a grassy field")),
    Setting(
        "mountains",
        mountains,
        ("in the mountains", "below snowy peaks", "on a mountain", "in front of high mountains", "in the alps"),
    ),
)
SETTINGS: dict[str, Setting] = {place.name: place for place in _PLACES}
