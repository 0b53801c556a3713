"""The catalogue of kinds: how each is drawn, whether it floats, and the words people use for it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageChops, ImageFilter

from demo import creatures, garden, household, vehicles
from demo.palette import CREAM, PAINTS
from demo.pen import Pen


@dataclass(frozen=True)
class Kind:
    """One kind of thing. `nouns` are (singular, plural) pairs, the first of them the plain name."""

    name: str
    draw: Callable[[Pen], None]
    nouns: tuple[tuple[str, str], ...]
    airy: bool = False
    animate: bool = False


def _kind(draw: Callable[[Pen], None], *words: str, airy: bool = False, animate: bool = False) -> Kind:
    nouns = tuple((word, plural) for word, _, plural in (spec.partition("/") for spec in words))
    return Kind(nouns[0][0], draw, nouns, airy, animate)


_CATALOGUE = (
    _kind(creatures.dog, "dog/dogs", "puppy/puppies", "hound/hounds", animate=True),
    _kind(creatures.cat, "cat/cats", "kitten/kittens", "kitty/kitties", animate=True),
    _kind(creatures.rabbit, "rabbit/rabbits", "bunny/bunnies", "hare/hares", animate=True),
    _kind(creatures.bird, "bird/birds", "swallow/swallows", airy=True, animate=True),
    _kind(creatures.duck, "duck/ducks", "duckling/ducklings", animate=True),
    _kind(creatures.fish, "fish/fish", "little fish/little fish", airy=True, animate=True),
    _kind(creatures.butterfly, "butterfly/butterflies", "moth/moths", airy=True, animate=True),
    _kind(garden.tree, "tree/trees", "leafy tree/leafy trees"),
    _kind(garden.flower, "flower/flowers", "blossom/blossoms", "daisy/daisies"),
    _kind(garden.mushroom, "mushroom/mushrooms", "toadstool/toadstools"),
    _kind(garden.apple, "apple/apples", "fruit/fruits"),
    _kind(garden.star, "star/stars", "smiling star/smiling stars", airy=True),
    _kind(vehicles.car, "car/cars", "automobile/automobiles", "motorcar/motorcars"),
    _kind(vehicles.train, "train/trains", "locomotive/locomotives", "steam engine/steam engines"),
    _kind(vehicles.boat, "boat/boats", "sailboat/sailboats", "ship/ships"),
    _kind(vehicles.rocket, "rocket/rockets", "spaceship/spaceships", airy=True),
    _kind(vehicles.balloon, "balloon/balloons", "toy balloon/toy balloons", airy=True),
    _kind(vehicles.kite, "kite/kites", "paper kite/paper kites", airy=True),
    _kind(household.cup, "cup/cups", "mug/mugs", "teacup/teacups"),
    _kind(household.hat, "hat/hats", "top hat/top hats"),
    _kind(household.umbrella, "umbrella/umbrellas", "parasol/parasols", airy=True),
    _kind(household.ball, "ball/balls", "beach ball/beach balls"),
    _kind(household.guitar, "guitar/guitars", "acoustic guitar/acoustic guitars"),
    _kind(household.clock, "clock/clocks", "alarm clock/alarm clocks"),
    _kind(household.chair, "chair/chairs", "wooden chair/wooden chairs"),
    _kind(household.house, "house/houses", "cottage/cottages", "home/homes"),
)
KINDS: dict[str, Kind] = {kind.name: kind for kind in _CATALOGUE}

# Widths of the sticker's borders as shares of its size: at 64 pixels the dark line is about one pixel on a large thing.
_LINE = 0.030
_HALO = 0.034
_MARGIN = 0.09


def sticker(kind: str, colour: str, size: int, *, mirrored: bool = False, tilt: float = 0.0) -> Image.Image:
    """One thing as an RGBA sticker of `size` pixels: shaded, with a dark line and a cream halo about it.

    The two borders are what lets a white rabbit show on snow and a black cat at night.
    """
    paint = PAINTS[colour]
    inner = max(8, round(size * (1 - 2 * _MARGIN)))
    pen = Pen(inner, paint)
    KINDS[kind].draw(pen)
    drawn = _shaded(pen.layer)
    if mirrored:
        drawn = drawn.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if tilt:
        drawn = drawn.rotate(tilt, Image.Resampling.BILINEAR)
    layer = Image.new("RGBA", (size, size), (*paint.outline, 0))
    layer.paste(drawn, ((size - inner) // 2, (size - inner) // 2))
    mask = layer.getchannel("A")
    line, halo = _swollen(mask, size * _LINE), _swollen(mask, size * (_LINE + _HALO))
    sheet = Image.new("RGBA", (size, size), (*CREAM, 0))
    sheet.putalpha(halo)
    sheet.paste(Image.new("RGBA", (size, size), (*paint.outline, 255)), mask=line)
    sheet.paste(layer, mask=mask)
    return sheet


def _swollen(mask: Image.Image, radius: float) -> Image.Image:
    """`mask` grown by about `radius` pixels: blurred, then cut at a low level with a soft edge."""
    soft = mask.filter(ImageFilter.BoxBlur(radius)).filter(ImageFilter.BoxBlur(radius * 0.6))
    return ImageChops.lighter(mask, soft.point(_CUT))


_CUT = [min(255, max(0, (level - 12) * 8)) for level in range(256)]


def _shaded(layer: Image.Image) -> Image.Image:
    """A gentle light from above: the lower half of a thing is a little darker."""
    ramp = _ramp(layer.height).resize(layer.size)
    rgb = ImageChops.multiply(layer.convert("RGB"), Image.merge("RGB", (ramp, ramp, ramp)))
    rgb.putalpha(layer.getchannel("A"))
    return rgb


@lru_cache(maxsize=256)
def _ramp(height: int) -> Image.Image:
    ramp = Image.new("L", (1, height))
    ramp.putdata([255 - round(46 * max(0.0, y / height - 0.45)) for y in range(height)])
    return ramp
