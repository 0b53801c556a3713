"""`python -m demo.composition`: what ways of combining the vectors of several terms find, over the demo's pictures.

The pictures that are right follow from their facts. Terms are plain texts and single pictures; a picture that is a term is no
answer.
The table of docs/decisions/0076-composed-queries.md is what this prints.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import numpy as np

from demo.backdrops import SETTINGS
from demo.captions import HELD_OUT, word
from demo.judging import Vectors, asked, drawn, embed
from demo.relevance import Claim, Mention
from demo.scenes import Scene
from demo.things import KINDS

SEED: Final = 5
A_SORT: Final = 120
FEWEST_TRUE: Final = 5
AT: Final = 5
TEXT, IMAGE = 0, 1


@dataclass(frozen=True)
class Task:
    """Terms as (modality, row of that modality's vectors, weight), and the scenes that answer them."""

    sort: str
    terms: tuple[tuple[int, int, float], ...]
    right: frozenset[int]


@dataclass(frozen=True)
class Space:
    """By modality."""

    vectors: tuple[Vectors, Vectors]
    means: tuple[Vectors, Vectors]
    spreads: tuple[float, float]
    """Standard deviation of the scores of a term over the pictures."""


def tasks(scenes: Sequence[Scene], text_of: Callable[[Claim], int]) -> Iterator[Task]:
    """A_SORT of each sort, drawn at random."""
    random = Random(SEED)
    by_kind = {kind: {i for i, scene in enumerate(scenes) if kind in {group.kind for group in scene.groups}} for kind in KINDS}
    by_setting = {setting: {i for i, scene in enumerate(scenes) if scene.setting == setting} for setting in SETTINGS}
    sorts = ("text + text", "text + image", "image + image", "image + text - text", "text - text", "image - text")
    for sort in sorts:
        made = 0
        while made < A_SORT:
            kind, setting, other = random.choice(list(KINDS)), *random.sample(list(SETTINGS), 2)
            there = by_kind[kind] & by_setting[setting]
            if len(there) < FEWEST_TRUE:
                continue
            made += 1
            what, where = text_of(Claim((Mention(kind),))), text_of(Claim((), setting))
            elsewhere = text_of(Claim((), other))
            # A picture of the kind at another place, and one of the place without the kind.
            of_kind = random.choice(sorted(by_kind[kind] & by_setting[other]) or sorted(by_kind[kind] - by_setting[setting]))
            of_place = random.choice(sorted(by_setting[setting] - by_kind[kind]))
            match sort:
                case "text + text":
                    yield Task(sort, ((TEXT, what, 1), (TEXT, where, 1)), frozenset(there))
                case "text + image":
                    yield Task(sort, ((TEXT, what, 1), (IMAGE, of_place, 1)), frozenset(there))
                case "image + image":
                    yield Task(sort, ((IMAGE, of_kind, 1), (IMAGE, of_place, 1)), frozenset(there - {of_kind, of_place}))
                case "image + text - text":
                    terms = ((IMAGE, of_kind, 1), (TEXT, where, 1), (TEXT, elsewhere, -1))
                    yield Task(sort, terms, frozenset(there))
                case "text - text":
                    yield Task(sort, ((TEXT, what, 1), (TEXT, elsewhere, -0.5)), frozenset(by_kind[kind] - by_setting[other]))
                case "image - text":
                    right = by_kind[kind] - by_setting[other] - {of_kind}
                    yield Task(sort, ((IMAGE, of_kind, 1), (TEXT, elsewhere, -0.5)), frozenset(right))


def weighted_sum(space: Space, task: Task, centre: float = 0.0, *, scaled: bool = False) -> Vectors:
    """`centre` is how much of its modality's mean a vector loses; if `scaled`, it then has length 1 again."""
    total = np.zeros(space.means[0].shape, dtype=np.float32)
    for modality, row, weight in task.terms:
        vector = space.vectors[modality][row] - centre * space.means[modality]
        total += weight * (vector / np.linalg.norm(vector) if scaled else vector)
    return _unit(total)


def louder(space: Space, task: Task, texts: float) -> Vectors:
    """The weighted sum, in which a text counts so many times as much as a picture."""
    return weighted_sum(
        space, Task(task.sort, tuple((m, row, w * texts if m == TEXT else w) for m, row, w in task.terms), task.right)
    )


def to_images(space: Space, task: Task) -> Vectors:
    """The weighted sum of centred vectors, moved to where the images are."""
    return _unit(weighted_sum(space, task, 1.0, scaled=True) * 0.5 + space.means[IMAGE])


def spherical(space: Space, task: Task) -> Vectors:
    """Along the arc from the first positive term on, by the share of each next weight (Shoemake 1985); then less the others."""
    at: Vectors | None = None
    weights = 0.0
    for modality, row, weight in sorted(task.terms, key=lambda term: term[2] < 0):
        vector = space.vectors[modality][row]
        if at is None:
            at, weights = vector, weight
        elif weight > 0:
            weights += weight
            at = _arc(at, vector, weight / weights)
        else:
            at = _unit(at + weight / weights * vector)
    assert at is not None
    return at


def perpendicular(space: Space, task: Task) -> Vectors:
    """The weighted sum of the positive terms, less what of it points along a negative one."""
    positive = Task(task.sort, tuple(term for term in task.terms if term[2] > 0), task.right)
    at = weighted_sum(space, positive)
    for modality, row, weight in task.terms:
        if weight < 0:
            vector = space.vectors[modality][row]
            at = _unit(at + min(1.0, -2 * weight) * -(at @ vector) * vector)
    return at


def _arc(one: Vectors, other: Vectors, share: float) -> Vectors:
    angle = np.arccos(np.clip(one @ other, -1, 1))
    return one if angle < 1e-6 else _unit((np.sin((1 - share) * angle) * one + np.sin(share * angle) * other) / np.sin(angle))


def _unit(vector: Vectors) -> Vectors:
    unit: Vectors = vector / np.linalg.norm(vector)
    return unit


WAYS: Final[dict[str, Callable[[Space, Task], Vectors]]] = {
    "first term alone": lambda space, task: space.vectors[task.terms[0][0]][task.terms[0][1]],
    "weighted sum": weighted_sum,
    "spherical interpolation": spherical,
    "sum, negative terms projected away": perpendicular,
    "sum, scaled by the spread of scores": lambda space, task: louder(space, task, space.spreads[IMAGE] / space.spreads[TEXT]),
    "sum, texts count 1.5 times": lambda space, task: louder(space, task, 1.5),
    "sum, texts count 2 times": lambda space, task: louder(space, task, 2.0),
    "sum, half centred": lambda space, task: weighted_sum(space, task, 0.5),
    "sum, centred": lambda space, task: weighted_sum(space, task, 1.0),
    "sum, centred and scaled": lambda space, task: weighted_sum(space, task, 1.0, scaled=True),
    "sum, centred and scaled, moved to the images": to_images,
}


def precision(space: Space, task: Task, way: Callable[[Space, Task], Vectors]) -> float:
    """Of the AT best hits."""
    scores = space.vectors[IMAGE] @ way(space, task)
    scores[[row for modality, row, _ in task.terms if modality == IMAGE]] = -np.inf
    best = np.argsort(-scores, kind="stable")[:AT]
    return sum(int(one) in task.right for one in best) / AT


def judge(model_dir: Path, corpus: Path) -> str:
    """The table: precision@AT of each way by sort."""
    scenes, pictures = drawn(corpus)
    random, texts = Random(SEED), dict[str, int]()

    def text_of(claim: Claim) -> int:
        said = f"in the {claim.setting}" if not claim.mentions else word(claim, random, HELD_OUT)
        return texts.setdefault(said, len(texts))

    made = list(tasks(scenes, text_of))
    vectors = embed(model_dir, list(texts), pictures)
    spreads = [float((one @ vectors[IMAGE].T).std(axis=1).mean()) for one in vectors]
    space = Space(vectors, (vectors[TEXT].mean(axis=0), vectors[IMAGE].mean(axis=0)), (spreads[TEXT], spreads[IMAGE]))
    sorts = list(dict.fromkeys(task.sort for task in made))
    lines = [f"| way | {' | '.join(sorts)} | mean |", "|---|" + "---:|" * (len(sorts) + 1)]
    for name, way in WAYS.items():
        found = [float(np.mean([precision(space, task, way) for task in made if task.sort == sort])) for sort in sorts]
        lines.append(f"| {name} | {' | '.join(f'{value:.3f}' for value in found)} | {np.mean(found):.3f} |")
    return "\n".join(lines)


def main() -> None:
    """Judge, print."""
    with asked("composition", "Judge ways of combining several terms.") as options:
        sys.stdout.write(judge(options.model, options.corpus) + "\n")


if __name__ == "__main__":
    main()
