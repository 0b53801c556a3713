"""The ten colours a thing can have, each with the shades that keep its parts readable; nothing else picks an object's hue."""

from dataclasses import dataclass

RGB = tuple[int, int, int]

INK: RGB = (38, 36, 52)
CREAM: RGB = (255, 250, 238)
WOOD: RGB = (133, 94, 62)
LEAF: RGB = (92, 158, 82)
STEEL: RGB = (172, 180, 192)


def mix(one: RGB, other: RGB, share: float) -> RGB:
    """The colour `share` of the way from `one` to `other`."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


@dataclass(frozen=True)
class Paint:
    """A base colour with a light side for highlights and a dark side for the seams between parts of one colour."""

    base: RGB
    light: RGB
    dark: RGB

    @property
    def outline(self) -> RGB:
        """Almost ink, tinted by the base, so that a white thing still ends somewhere on snow."""
        return mix(self.dark, INK, 0.75)


def _paint(base: RGB, dark_share: float = 0.36) -> Paint:
    return Paint(base, mix(base, (255, 255, 255), 0.38), mix(base, INK, dark_share))


# Chosen apart from each other in hue or in lightness: orange, brown, pink and red are the four that a small model mixes up.
PAINTS: dict[str, Paint] = {
    "red": _paint((222, 36, 48)),
    "orange": _paint((255, 142, 20)),
    "yellow": _paint((255, 222, 48), 0.28),
    "green": _paint((48, 166, 74)),
    "blue": _paint((42, 104, 226)),
    "purple": _paint((134, 62, 190)),
    "pink": _paint((255, 142, 196)),
    "brown": _paint((124, 76, 40)),
    "black": Paint((48, 48, 56), (104, 106, 120), (12, 12, 18)),
    "white": Paint((250, 250, 248), (255, 255, 255), (186, 194, 208)),
}
