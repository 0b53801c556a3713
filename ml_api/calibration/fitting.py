"""Calibrates a corpus: texts of its own are searched for with their matches and without, and a fit tells the two apart."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np

from ml_api.calibration.judging import Judgement, judged
from ml_api.calibration.pairs import pairs_of
from ml_api.calibration.phrases import Matching, phrases, texts_of
from ml_api.embedding.base import Encoder, Preprocessor
from ml_api.records import Vectors
from ml_api.search.relevance import Calibration, Reference, marks, soft_maximum
from ml_api.vectors.base import Metric, VectorStore

SEED: Final = 7
RECORDS: Final = 2000
"""Images whose texts are read, drawn at random."""
BACKGROUND: Final = 500
RIVALS: Final = 600
QUERIES: Final = 400
FEWEST: Final = 40
"""Queries with matches below which there is no calibration: a fit of seven signals needs some."""
GIBBERISH: Final = 80
"""Queries of random letters, which match nothing."""
MOST_MATCHES: Final = 500
MOST_OF_CORPUS: Final = 0.2
"""A phrase that more of the images are about is no query whose matches could be left out."""
AT_ONCE: Final = 64


@dataclass(frozen=True, slots=True)
class Calibrated:
    """`images` is how many there were, `judgement` how well it tells, cross-validated over its queries."""

    calibration: Calibration
    images: int
    queries: int
    judgement: Judgement


def calibrate(store: VectorStore, metric: Metric, preprocessor: Preprocessor, encoder: Encoder) -> Calibrated | None:
    """For searches by text. None if the corpus has too few texts of its own to learn from. Raises Unavailable."""
    chance = random.Random(SEED)  # noqa: S311 - a sample, no secret
    background, texts = _sample(store, chance)
    rivals, queries = texts[:RIVALS], texts[RIVALS : RIVALS + 2 * QUERIES]
    if len(queries) < FEWEST:
        half = len(texts) // 2
        rivals, queries = texts[:half], texts[half:]
    if len(queries) < FEWEST:
        return None
    vectors_of = embedded([*rivals, *queries], preprocessor, encoder)
    reference, matching, images = _second_pass(store, background, vectors_of[: len(rivals)], queries)
    most = min(MOST_MATCHES, int(MOST_OF_CORPUS * images))
    found = [(row, matching.matches[text]) for row, text in enumerate(queries, len(rivals))]
    usable = list(islice(((row, ids) for row, ids in found if 0 < len(ids) <= most), QUERIES))
    if len(usable) < FEWEST:
        return None
    nonsense = embedded(_gibberish(chance), preprocessor, encoder)
    vectors = np.vstack([vectors_of[[row for row, _ in usable]], nonsense])
    pairs = pairs_of(store, metric, reference, vectors, [*(ids for _, ids in usable), *[frozenset[str]()] * len(nonsense)])
    return Calibrated(pairs.fit(reference), images, len(usable), judged(pairs, reference))


def reference_of(store: VectorStore, preprocessor: Preprocessor, encoder: Encoder) -> Reference:
    """What scores of texts are compared with, as `calibrate` makes it. Raises Unavailable."""
    background, texts = _sample(store, random.Random(SEED))  # noqa: S311 - a sample, no secret
    rivals = texts[: min(RIVALS, max(1, len(texts) // 2))] or ["image"]
    reference, _, _ = _second_pass(store, background, embedded(rivals, preprocessor, encoder), ())
    return reference


def _sample(store: VectorStore, chance: random.Random) -> tuple[Vectors, list[str]]:
    """Vectors (n, dim) of some images, and phrases of what is said of them, in random order, each once."""
    kept, seen = list[tuple[Sequence[str], Vectors]](), 0
    for records, vectors in store.scan():
        for record, vector in zip(records, vectors, strict=True):
            place = len(kept) if len(kept) < RECORDS else chance.randrange(seen + 1)
            seen += 1
            if place < RECORDS:
                kept[place : place + 1] = [(list(texts_of(record)), vector.copy())]  # a view would keep its whole page
    chance.shuffle(kept)
    found = dict[str, None]()
    for texts, _ in kept:
        said = [phrase for text in texts for phrase in phrases(text)]
        for phrase in chance.sample(said, min(3, len(said))):
            found.setdefault(phrase)
    texts = list(found)
    chance.shuffle(texts)
    background = [vector for _, vector in kept[:BACKGROUND]]
    return (np.stack(background) if background else np.empty((0, 0), dtype=np.float32)), texts


def _second_pass(
    store: VectorStore, background: Vectors, rivals: Vectors, queries: Sequence[str]
) -> tuple[Reference, Matching, int]:
    """The matches of phrases, and of every image what the rivals score on it."""
    matching, found, levels = Matching(queries, MOST_MATCHES), list[np.ndarray](), list[np.ndarray]()
    for records, vectors in store.scan():
        for record in records:
            matching.look_at(record)
        found.append(marks(records))
        levels.append(soft_maximum(rivals @ vectors.T))
    marked = np.concatenate(found) if found else np.empty(0, dtype=np.uint64)
    order = np.argsort(marked)
    level = np.concatenate(levels) if levels else np.empty(0, dtype=np.float32)
    return Reference(background, marked[order], level[order]), matching, len(marked)


def embedded(texts: Sequence[str], preprocessor: Preprocessor, encoder: Encoder) -> Vectors:
    parts = [
        encoder.embed([preprocessor.prepare_text(text) for text in texts[start : start + AT_ONCE]])
        for start in range(0, len(texts), AT_ONCE)
    ]
    return np.vstack(parts)


def _gibberish(chance: random.Random) -> list[str]:
    def word() -> str:
        return "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(3, 9)))

    return [" ".join(word() for _ in range(chance.randint(1, 3))) for _ in range(GIBBERISH)]
