"""What a text says about a picture, and whether it is true: the one definition of relevance for training and for judging."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from demo.backdrops import SETTINGS
from demo.palette import PAINTS
from demo.scenes import Group, Relation, Scene
from demo.things import KINDS


@dataclass(frozen=True)
class Mention:
    """A kind, perhaps with a colour, perhaps with an exact count."""

    kind: str
    colour: str | None = None
    count: int | None = None

    def true_of(self, group: Group) -> bool:
        """Whether `group` is such a group: "two dogs" is false of three."""
        return self.kind == group.kind and self.colour in (None, group.colour) and self.count in (None, group.count)


@dataclass(frozen=True)
class Claim:
    """The mentions of a text and where they are. What is left unsaid may be anything."""

    mentions: tuple[Mention, ...]
    setting: str | None = None
    relation: Relation | None = None

    def true_of(self, scene: Scene) -> bool:
        """Whether the picture of `scene` is an answer to this text."""
        if self.setting not in (None, scene.setting):
            return False
        if not all(any(mention.true_of(group) for group in scene.groups) for mention in self.mentions):
            return False
        if self.relation in (None, "beside"):
            return self.relation in (None, scene.relation)
        upper = self.mentions[0 if self.relation == "above" else 1]
        return scene.upper is not None and scene.upper.kind == upper.kind


_KIND = {name: code for code, name in enumerate(KINDS)}
_COLOUR = {name: code for code, name in enumerate(PAINTS)}
_SETTING = {name: code for code, name in enumerate(SETTINGS)}
_BESIDE = len(KINDS)
UNSAID = -1
WIDTH = 8
Codes = NDArray[np.int64]


def scene_codes(scenes: Sequence[Scene]) -> Codes:
    """One row a scene: kind, colour, count of the first and of the second group, setting, and the upper kind or "beside"."""
    return np.array([_row(scene.groups, scene.setting, _place(scene)) for scene in scenes], dtype=np.int64)


def claim_codes(claims: Sequence[Claim]) -> Codes:
    """The same columns for claims, `UNSAID` where a claim is silent."""
    rows = []
    for claim in claims:
        place = UNSAID
        if claim.relation == "beside":
            place = _BESIDE
        elif claim.relation:
            place = _KIND[claim.mentions[0 if claim.relation == "above" else 1].kind]
        rows.append(_row(claim.mentions, claim.setting, place))
    return np.array(rows, dtype=np.int64)


def truth(claims: Codes, scenes: Codes) -> NDArray[np.bool_]:
    """A (claims, scenes) table of `Claim.true_of`, worked out by columns: a training step asks for 130,000 of them."""
    said = np.ones((len(claims), len(scenes)), dtype=bool)
    for start in (0, 3):
        mention = claims[:, start : start + 3]
        first, second = (_agree(mention, scenes[:, at : at + 3]) for at in (0, 3))
        said &= first | second
    return said & _agree(claims[:, 6:], scenes[:, 6:])


def _agree(claimed: Codes, actual: Codes) -> NDArray[np.bool_]:
    pairs = (claimed[:, None, :] == actual[None, :, :]) | (claimed[:, None, :] == UNSAID)
    agreed: NDArray[np.bool_] = pairs.all(axis=-1)
    return agreed


def _place(scene: Scene) -> int:
    if scene.relation == "beside":
        return _BESIDE
    return _KIND[scene.upper.kind] if scene.upper else UNSAID


def _row(groups: Sequence[Group] | Sequence[Mention], setting: str | None, place: int) -> list[int]:
    row: list[int] = []
    for group in groups:
        row += [_KIND[group.kind], _COLOUR.get(group.colour or "", UNSAID), group.count or UNSAID]
    row += [UNSAID] * (WIDTH - 2 - len(row))
    return [*row, _SETTING.get(setting or "", UNSAID), place]
