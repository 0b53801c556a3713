"""The judged queries: texts in held-out wordings whose true pictures follow from the facts, never from a model."""

from dataclasses import dataclass
from random import Random

import numpy as np

from demo.backdrops import SETTINGS
from demo.captions import HELD_OUT, word
from demo.palette import PAINTS
from demo.relevance import Claim, Mention, claim_codes, scene_codes, truth
from demo.scenes import MAX_COUNT, Scene
from demo.things import KINDS

SEED = 11
FEWEST_TRUE = 5
SHOWCASE = "two dogs playing in the snow"
SHOWCASE_CLAIM = Claim((Mention("dog", None, 2),), "snow")
# How many queries of each sort are judged: 300 in all.
SORTS: dict[str, int] = {"object": 52, "colour + object": 84, "object + setting": 84, "count + object": 80}


@dataclass(frozen=True)
class Query:
    """A text, the sort of thing it asks for, and the claim that decides which pictures answer it."""

    sort: str
    text: str
    claim: Claim


def judged_queries(scenes: list[Scene], seed: int = SEED) -> list[Query]:
    """The 300 queries for a corpus: claims with at least five true pictures, spread evenly, each text once."""
    random = Random(f"queries {seed}")
    codes = scene_codes(scenes)
    queries: list[Query] = []
    for sort, wanted in SORTS.items():
        claims = _claims(sort)
        answers = truth(claim_codes(claims), codes).sum(axis=1)
        eligible = [claims[i] for i in np.flatnonzero(answers >= FEWEST_TRUE)]
        random.shuffle(eligible)
        texts: dict[str, Claim] = {}
        for turn in range(100 * wanted):
            claim = eligible[turn % len(eligible)]
            texts.setdefault(word(claim, random, HELD_OUT), claim)
            if len(texts) == wanted:
                break
        queries += [Query(sort, text, claim) for text, claim in texts.items()]
    return queries


def _claims(sort: str) -> list[Claim]:
    """Every claim of one sort."""
    match sort:
        case "object":
            return [Claim((Mention(kind),)) for kind in KINDS]
        case "colour + object":
            return [Claim((Mention(kind, colour),)) for kind in KINDS for colour in PAINTS]
        case "object + setting":
            return [Claim((Mention(kind),), setting) for kind in KINDS for setting in SETTINGS]
        case _:
            return [Claim((Mention(kind, None, count),)) for kind in KINDS for count in range(1, MAX_COUNT + 1)]
