"""A scene is a handful of facts and a seed; drawing it adds nothing that the facts and the seed do not determine."""

from dataclasses import dataclass
from enum import IntEnum
from random import Random
from typing import Any, Literal

from PIL import Image, ImageDraw

from demo.backdrops import SETTINGS
from demo.canvas import Canvas
from demo.palette import PAINTS
from demo.things import KINDS, sticker

Relation = Literal["beside", "above", "under"]
MAX_COUNT = 3


class Stream(IntEnum):
    """Who a scene is for. It is the lowest bit of the scene's seed, so the two streams cannot share a picture."""

    CORPUS = 0
    TRAINING = 1


@dataclass(frozen=True)
class Group:
    """One to three things of one kind and one colour."""

    kind: str
    colour: str
    count: int


@dataclass(frozen=True)
class Scene:
    """What a picture shows. With two groups, `relation` says where the first is with respect to the second."""

    groups: tuple[Group, ...]
    setting: str
    relation: Relation | None
    seed: int

    def facts(self) -> dict[str, Any]:
        """The facts as flat plain data, one entry a group in each list, without the seed that only placed them."""
        return {
            "kinds": [group.kind for group in self.groups],
            "colours": [group.colour for group in self.groups],
            "counts": [group.count for group in self.groups],
            "setting": self.setting,
            "relation": self.relation,
        }

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> "Scene":
        """The scene that `facts` describe; how its things were placed is not known any more."""
        groups = zip(facts["kinds"], facts["colours"], facts["counts"], strict=True)
        return cls(tuple(Group(*group) for group in groups), facts["setting"], facts["relation"], seed=0)

    @property
    def upper(self) -> Group | None:
        """The group drawn above the other, if one is."""
        return {"above": self.groups[0], "under": self.groups[-1]}.get(self.relation or "")


def imagine(random: Random, stream: Stream) -> Scene:
    """A scene drawn uniformly over kinds, colours and settings; about half of them hold two kinds."""
    setting = random.choice(list(SETTINGS))
    kinds = random.sample(list(KINDS), 2)
    seed = 2 * random.getrandbits(30) + stream
    if random.random() < 0.52:
        count = random.choice((1, 1, 2, 2, 3))
        return Scene((_group(kinds[0], count, random),), setting, None, seed)
    relation: Relation = random.choice(("beside", "above", "under"))
    counts = random.choice(((1, 1), (1, 2), (2, 1)) if relation == "beside" else ((1, 1), (1, 2), (2, 1), (2, 2), (1, 3), (3, 1)))
    if relation != "beside":
        kinds.sort(key=lambda kind: KINDS[kind].airy, reverse=relation == "above")
    first, second = (_group(kind, count, random) for kind, count in zip(kinds, counts, strict=True))
    return Scene((first, second), setting, relation, seed)


def _group(kind: str, count: int, random: Random) -> Group:
    return Group(kind, random.choice(list(PAINTS)), count)


@dataclass(frozen=True)
class Spot:
    """Where one thing goes: its centre and its width, as shares of the picture."""

    group: Group
    x: float
    y: float
    size: float


def draw(scene: Scene, size: int, supersampling: int = 2) -> Image.Image:
    """The scene as an RGB image of `size` pixels square, drawn `supersampling` times larger and reduced."""
    random = Random(f"picture {scene.seed}")
    canvas = Canvas(size * supersampling)
    SETTINGS[scene.setting].paint(canvas, random)
    spots = layout(scene)
    for spot in spots:
        _ground(canvas, spot)
    for spot in spots:
        kind = KINDS[spot.group.kind]
        tilt = random.uniform(-12, 12) if kind.airy else 0.0
        pixels = round(spot.size * canvas.size)
        image = sticker(kind.name, spot.group.colour, pixels, mirrored=random.random() < 0.5, tilt=tilt)
        corner = (round(spot.x * canvas.size - pixels / 2), round(spot.y * canvas.size - pixels / 2))
        canvas.image.paste(image, corner, image)
    return canvas.image.reduce(supersampling)


def layout(scene: Scene) -> list[Spot]:
    """Where the things of a scene are, the far ones first; it does not depend on how large the scene is drawn."""
    return sorted(_arranged(scene, Random(f"layout {scene.seed}")), key=lambda spot: spot.y)


def _arranged(scene: Scene, random: Random) -> list[Spot]:
    if scene.relation in ("above", "under"):
        upper, lower = scene.groups if scene.relation == "above" else scene.groups[::-1]
        return _row([upper] * upper.count, 0.255, 0.46, random) + _row([lower] * lower.count, 0.745, 0.47, random)
    things = [group for group in scene.groups for _ in range(group.count)]
    if scene.relation is None and len(things) == MAX_COUNT and random.random() < 0.5:
        return _triangle(things, random)
    if len(things) == 1:
        width = random.uniform(0.5, 0.66)
        free = (1 - width) / 2
        y = 0.5 if KINDS[things[0].kind].airy else 0.9 - width / 2
        return [Spot(things[0], 0.5 + random.uniform(-free, free) * 0.8, y + random.uniform(-0.05, 0.05), width)]
    return _row(things, random.uniform(0.52, 0.68), 0.48, random)


def _row(things: list[Group], y: float, tallest: float, random: Random) -> list[Spot]:
    """Side by side in equal cells, so that counted things never overlap."""
    cell = 0.98 / len(things)
    spots = []
    for i, group in enumerate(things):
        width = min(cell, tallest) * random.uniform(0.92, 1.0)
        free = (cell - width) * 0.35 if len(things) > 1 else (cell - width) * 0.45
        sway = (tallest - width) * 0.3
        x = 0.01 + cell * (i + 0.5) + random.uniform(-free, free)
        spots.append(Spot(group, x, y + random.uniform(-sway, sway), width))
    return spots


def _triangle(things: list[Group], random: Random) -> list[Spot]:
    """Three things, one of them higher up or further back."""
    width = random.uniform(0.42, 0.47)
    corners = ((0.5, 0.26), (0.26, 0.74), (0.74, 0.74)) if random.random() < 0.6 else ((0.26, 0.28), (0.74, 0.28), (0.5, 0.75))
    return [Spot(group, x + random.uniform(-0.02, 0.02), y, width) for group, (x, y) in zip(things, corners, strict=True)]


def _ground(canvas: Canvas, spot: Spot) -> None:
    """A soft shadow under a thing that stands on the ground; what floats has none."""
    if KINDS[spot.group.kind].airy or spot.y < 0.45:
        return
    half = max(2, round(spot.size * canvas.size * 0.42))
    shadow = Image.new("L", (2 * half, max(4, round(half * 0.46))))
    pen = ImageDraw.Draw(shadow)
    for inset, strength in ((0.0, 30), (0.1, 55), (0.2, 80)):
        right, bottom = half * (2 - inset) - 1, shadow.height * (1 - inset) - 1
        pen.ellipse((half * inset, shadow.height * inset, right, bottom), fill=strength)
    foot = (spot.y + spot.size * 0.41) * canvas.size
    canvas.image.paste((24, 24, 48), (round(spot.x * canvas.size) - half, round(foot - shadow.height / 2)), shadow)
