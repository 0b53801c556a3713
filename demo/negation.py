"""`python -m demo.negation`: what texts with a negation find over the demo's pictures, as they stand and as the service reads them.

The pictures that are right follow from their facts. The table of docs/decisions/0079-negation.md is what this prints.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import numpy as np

from demo.backdrops import SETTINGS
from demo.captions import HELD_OUT, word
from demo.judging import Vectors, asked, drawn, embed
from demo.relevance import Claim, Mention
from demo.scenes import Scene
from demo.things import KINDS
from ml_api.search import TextTerm, Weighted, read_negations

SEED: Final = 5
A_SORT: Final = 200
AT: Final = 5
WEIGHTS: Final = (-0.25, -0.5, -0.75, -1.0)
BETWEEN: Final = ("without", "with no", "but no", "and no")


class Task(NamedTuple):
    sort: str
    text: str
    right: frozenset[int]
    """The pictures that show what is wanted and not what is not."""


def tasks(scenes: Sequence[Scene]) -> Iterator[Task]:
    """A_SORT of each sort, drawn at random."""
    random, all_ = Random(SEED), frozenset(range(len(scenes)))
    of_kind = {kind: frozenset(i for i in all_ if kind in {group.kind for group in scenes[i].groups}) for kind in KINDS}
    at = {setting: frozenset(i for i in all_ if scenes[i].setting == setting) for setting in SETTINGS}
    for _ in range(A_SORT):
        kind, other = random.sample(list(KINDS), 2)
        setting, between = random.choice(list(SETTINGS)), random.choice(BETWEEN)
        thing = word(Claim((Mention(kind),)), random, HELD_OUT)
        yield Task("thing without place", f"{thing} {between} {setting}", of_kind[kind] - at[setting])
        yield Task("place without thing", f"{setting} {between} {kind}", at[setting] - of_kind[kind])
        yield Task("thing without thing", f"{thing} {between} {other}", of_kind[kind] - of_kind[other])
        yield Task("not a thing", f"{random.choice(('not', 'no'))} {kind}", all_ - of_kind[kind])


def judge(model_dir: Path, corpus: Path) -> str:
    """The table: precision@AT by sort, and the weight of what is not wanted."""
    scenes, pictures = drawn(corpus)
    made = list(tasks(scenes))
    read = {task.text: [(_text(term), term.weight) for term in read_negations(task.text)] for task in made}
    texts = list(dict.fromkeys([*read, *(text for terms in read.values() for text, _ in terms)]))
    of_texts, images = embed(model_dir, texts, pictures)
    vectors = dict(zip(texts, of_texts, strict=True))

    def precision(sort: str, unwanted: float | None) -> float:
        found = []
        for _, text, right in (task for task in made if task.sort == sort):
            terms = [(text, 1.0)] if unwanted is None else read[text]
            vector: Vectors = sum(((unwanted or 0) if weight < 0 else weight) * vectors[one] for one, weight in terms)
            best = np.argsort(-(images @ vector), kind="stable")[:AT]
            found.append(sum(int(one) in right for one in best) / AT)
        return float(np.mean(found))

    sorts = list(dict.fromkeys(task.sort for task in made))
    lines = [f"| read | {' | '.join(sorts)} |", "|---|" + "---:|" * len(sorts)]
    for name, unwanted in {"as it stands": None, **{f"unwanted {weight:g}": weight for weight in WEIGHTS}}.items():
        lines.append(f"| {name} | {' | '.join(f'{precision(sort, unwanted):.3f}' for sort in sorts)} |")
    return "\n".join(lines)


def _text(weighted: Weighted) -> str:
    assert isinstance(weighted.term, TextTerm)
    return weighted.term.text


def main() -> None:
    """Judge, print."""
    with asked("negation", "Judge the reading of negations.") as options:
        sys.stdout.write(judge(options.model, options.corpus) + "\n")


if __name__ == "__main__":
    main()
