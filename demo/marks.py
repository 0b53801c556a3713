"""`python -m demo.marks`: what marking hits good and bad gains, over the demo's pictures.

The first hits of a search are marked by the facts, and left out of both rankings: what is compared are the next ten, without and
with the marks, against the at most ten right ones that could be among them. Judged are searches whose first ten are not all right:
those whose text says what is meant, and those whose text leaves a part of it out. The tables of docs/decisions/0083-feedback.md are
what this prints.
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
from demo.palette import PAINTS
from demo.queries import judged_queries
from demo.relevance import Claim, Mention, claim_codes, scene_codes, truth
from demo.scenes import MAX_COUNT, Scene
from demo.things import KINDS
from ml_api.search.combining import combined
from ml_api.search.rocchio import BETA, GAMMA, refined

SEED: Final = 5
A_SORT: Final = 100
FEWEST_TRUE: Final = 8
AT: Final = 10
MARKED: Final = (1, 3, 5)
BETAS: Final = (0.0, 0.15, 0.25, 0.5, 1.0)
GAMMAS: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
WHOLE: Final = "the text says it all"
SORTS: Final = (
    WHOLE,
    "a thing, meant at a place",
    "a thing, meant of a colour",
    "a thing, meant in a number",
    "a place, meant with a thing",
)


class Wish(NamedTuple):
    """What somebody types, and what decides which pictures are meant."""

    sort: str
    text: str
    meant: Claim


class Search(NamedTuple):
    sort: str
    vector: Vectors
    ranking: list[int]
    right: frozenset[int]


def wishes(scenes: list[Scene]) -> Iterator[Wish]:
    """The judged queries, and A_SORT of each sort that leaves something out, drawn at random."""
    random, codes = Random(SEED), scene_codes(scenes)
    yield from (Wish(WHOLE, query.text, query.claim) for query in judged_queries(scenes))
    for sort in SORTS[1:]:
        made = 0
        while made < A_SORT:
            kind, setting = random.choice(list(KINDS)), random.choice(list(SETTINGS))
            said, meant = Claim((Mention(kind),)), Claim((Mention(kind),), setting)
            if "colour" in sort:
                meant = Claim((Mention(kind, random.choice(list(PAINTS))),))
            elif "number" in sort:
                meant = Claim((Mention(kind, None, random.randint(1, MAX_COUNT)),))
            elif sort.startswith("a place"):
                said = Claim((), setting)
            if truth(claim_codes([meant]), codes).sum() >= FEWEST_TRUE:
                made += 1
                yield Wish(sort, word(said, random, HELD_OUT), meant)


def imperfect(sort: str, vector: Vectors, images: Vectors, right: frozenset[int]) -> Search | None:
    """The search, unless its first `AT` hits are all right, or too few could be."""
    ranking = np.argsort(-(images @ vector), kind="stable").tolist()
    is_so = len(right) >= FEWEST_TRUE and not right.issuperset(ranking[:AT])
    return Search(sort, vector, ranking, right) if is_so else None


def precision(searches: Sequence[Search], images: Vectors, marked: int, beta: float, gamma: float) -> float:
    """The mean share of right ones among the `AT` that come after the first `marked` hits; as before, if beta and gamma are 0."""
    found = []
    for search in searches:
        seen = search.ranking[:marked]
        good = [images[one] for one in seen if one in search.right and beta]
        bad = [images[one] for one in seen if one not in search.right and gamma]
        vector = refined(combined([search.vector], [1.0]), good, bad, beta, gamma).vector
        best = [one for one in np.argsort(-(images @ vector), kind="stable")[: AT + marked].tolist() if one not in seen][:AT]
        left = min(AT, len(search.right.difference(seen)))
        found.append(len(search.right.intersection(best)) / left)
    return float(np.mean(found))


def judge(model_dir: Path, corpus: Path) -> str:
    """The gain by sort with the weights that are used, and the means over `MARKED` for others: all said, and something left out."""
    scenes, pictures = drawn(corpus)
    made = list(wishes(scenes))
    texts, images = embed(model_dir, [wish.text for wish in made], pictures)
    true = truth(claim_codes([wish.meant for wish in made]), scene_codes(scenes))
    rights = [frozenset(np.flatnonzero(row).tolist()) for row in true]
    judged = [imperfect(wish.sort, vector, images, right) for wish, vector, right in zip(made, texts, rights, strict=True)]
    by_sort = {sort: [search for search in judged if search is not None and search.sort == sort] for sort in SORTS}

    lines = [f"| searches | | {' | '.join(f'{marked} marked' for marked in MARKED)} |", "|---|---:|" + "---:|" * len(MARKED)]
    for sort, some in by_sort.items():
        pairs = ((precision(some, images, marked, 0, 0), precision(some, images, marked, BETA, GAMMA)) for marked in MARKED)
        lines.append(f"| {sort} | {len(some)} | {' | '.join(f'{before:.3f} → {after:.3f}' for before, after in pairs)} |")
    lines += ["", f"| beta | {' | '.join(f'gamma {gamma:g}' for gamma in GAMMAS)} |", "|---:|" + "---:|" * len(GAMMAS)]
    whole, others = by_sort[WHOLE], [search for sort in SORTS[1:] for search in by_sort[sort]]
    for beta in BETAS:
        cells = []
        for gamma in GAMMAS:
            means = [np.mean([precision(some, images, marked, beta, gamma) for marked in MARKED]) for some in (whole, others)]
            cells.append(" / ".join(f"{mean:.3f}" for mean in means))
        lines.append(f"| {beta:g} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Judge, print."""
    with asked("marks", "Judge relevance feedback.") as options:
        sys.stdout.write(judge(options.model, options.corpus) + "\n")


if __name__ == "__main__":
    main()
