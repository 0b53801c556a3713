"""Calibrates a corpus: texts of its own are searched for with their matches and without, and a fit tells the two apart."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from ml_api.calibration.examples import Example, Sample, of_image, of_text, vectors_of
from ml_api.calibration.familiarity import Noise
from ml_api.calibration.indexed import IndexedCorpus
from ml_api.calibration.judging import Judgement, judgement_of
from ml_api.calibration.nonsense import gibberish
from ml_api.calibration.pairs import pairs_of
from ml_api.calibration.phrases import Matching, Rarity
from ml_api.calibration.verdicts import Grades, learned, pairs_of_verdicts
from ml_api.records import Vectors
from ml_api.search.relevance import Calibration, Reference, fingerprints_of, soft_maximum
from ml_api.vectors.base import VectorStore
from ml_api.vocabulary import QUERY_KINDS, QueryKind

SEED: Final = 7
BACKGROUND: Final = 500
RIVALS: Final = 600
QUERIES: Final = 400
FEWEST_IMAGES: Final = 100
"""Smaller corpora are not calibrated: their scores are too few to say what is usual."""
FEWEST: Final = 40
"""Queries with matches below which there is no calibration: a fit of seven signals needs some."""
NONSENSE: Final = 80
"""Queries of random letters, which match nothing, and queries of several terms that nothing matches."""
NOISE_SHARE: Final = 0.5
"""Pictures of random pixels, as a share of the images that are queries. With 0.2, 0.40 of 200 photographs were called a match among
100 drawn pictures, with 0.5 0.27, and as many true matches as before."""
MAX_MATCHES: Final = 500
MAX_SHARE: Final = 0.2
"""A phrase that more of the images are about is no query whose matches could be left out."""
NO_VERDICTS: Final[Mapping[str, Grades]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Calibrated:
    """`images` is how many there were, `judgement` how well it tells, cross-validated over its `queries`. It was given `verdicts`
    on the hits of `judged_texts`, and fitted to those of `used_texts`, too.
    """

    calibration: Calibration
    images: int
    queries: int
    judgement: Judgement
    verdicts: int = 0
    judged_texts: int = 0
    used_texts: int = 0


def calibrate(
    corpus: IndexedCorpus,
    kind: QueryKind = "text",
    verdicts: Mapping[str, Grades] = NO_VERDICTS,
    noise: Noise | None = None,
) -> Calibrated | None:
    """Calibrate searches of this kind. `verdicts` are by the text that was searched for. Kinds may share the `noise`.

    None if the corpus has too few texts of its own to learn from. Raises Unavailable.
    """
    chance = random.Random(SEED)  # noqa: S311 - a sample, no secret
    sample = Sample.of(corpus.store, chance)
    rivals, queries = _divided(sample.examples(kind, chance))
    if len(queries) < FEWEST:
        return None
    noise = noise or Noise(corpus)
    nonsense = [of_text(text) for text in gibberish(chance, NONSENSE)] if kind == "text" else []
    texts = dict.fromkeys(text for example in (*rivals, *queries, *nonsense) for text in example.texts)
    of_texts = dict(zip(texts, corpus.embedded(list(texts)), strict=True))
    reference, matches, images = _second_pass(corpus.store, sample, rivals, vectors_of(rivals, of_texts), queries)
    usable = _usable(matches, images)
    if sum(bool(matches[row]) for row in usable) < FEWEST:
        return None
    if kind == "image":
        nonsense = [of_image(picture) for picture in noise.pictures[: max(1, int(NOISE_SHARE * len(usable)))]]
    asked = [*(queries[row] for row in usable), *nonsense]
    vectors, images_of = vectors_of(asked, of_texts), [example.image for example in asked]
    wanted = [*(matches[row] for row in usable), *[set[str]()] * len(nonsense)]
    pairs = pairs_of(corpus.store, corpus.metric, reference, vectors, wanted, asked_for=images_of)
    judged = corpus.embedded(list(verdicts))
    found = learned(pairs, pairs_of_verdicts(corpus.store, corpus.metric, reference, judged, list(verdicts.values())))
    probabilities, is_familiar = found.probabilities, None
    if all(images_of):
        familiarity = noise.familiarity(sample.images)
        probabilities *= familiarity.of_each([image for image in images_of if image])[pairs.queries.owner]
        is_familiar = familiarity.fit
    calibration, given = found.pairs.fit(reference, is_familiar), sum(map(len, verdicts.values()))
    judgement = judgement_of(pairs.queries, probabilities)
    return Calibrated(calibration, images, len(usable), judgement, given, len(verdicts), found.texts)


def calibrate_all(corpus: IndexedCorpus, verdicts: Mapping[str, Grades] = NO_VERDICTS) -> dict[QueryKind, Calibrated | None]:
    """Calibrate searches of every kind, of which those by a text alone have `verdicts`; none if the corpus is smaller than
    FEWEST_IMAGES. Raises Unavailable.
    """
    if corpus.store.count() < FEWEST_IMAGES:
        return {}
    noise = Noise(corpus)
    return {kind: calibrate(corpus, kind, verdicts if kind == "text" else NO_VERDICTS, noise) for kind in QUERY_KINDS}


def reference_of(corpus: IndexedCorpus) -> Reference:
    """What scores of texts are compared with, as `calibrate` makes it. Raises Unavailable."""
    sample = Sample.of(corpus.store, random.Random(SEED))  # noqa: S311 - a sample, no secret
    texts = sample.texts[: min(RIVALS, max(1, len(sample.texts) // 2))] or ["image"]
    rivals = corpus.embedded(texts)
    return _second_pass(corpus.store, sample, [of_text(text) for text in texts], rivals, ())[0]


def _divided(examples: Sequence[Example]) -> tuple[Sequence[Example], Sequence[Example]]:
    """Divides examples into rivals and queries."""
    rivals = RIVALS if len(examples) - RIVALS >= FEWEST else len(examples) // 2
    return examples[:rivals], examples[rivals : rivals + 2 * QUERIES]


def _usable(matches: Sequence[set[str]], images: int) -> list[int]:
    """The indices of queries that can be searched for with their matches and without, and of a few that have no match."""
    most = min(MAX_MATCHES, int(MAX_SHARE * images))
    present = [row for row, ids in enumerate(matches) if 0 < len(ids) <= most][:QUERIES]
    absent = [row for row, ids in enumerate(matches) if not ids]
    return sorted([*present, *absent[:NONSENSE]])


def _second_pass(
    store: VectorStore, sample: Sample, rivals: Sequence[Example], vectors_of_rivals: Vectors, queries: Sequence[Example]
) -> tuple[Reference, list[set[str]], int]:
    """One pass over the corpus: what the rivals score on each image, the matches of the queries, the number of images."""
    images = sample.images
    matching = Matching([query.wanted for query in queries], MAX_MATCHES, Rarity([image.words for image in images]))
    rows = {rival.wanted.itself: row for row, rival in enumerate(rivals) if rival.wanted.itself}
    found, levels = list[np.ndarray](), list[np.ndarray]()
    for records, vectors in store.scan():
        scores = vectors_of_rivals @ vectors.T
        for column, record in enumerate(records):
            matching.look_at(record)
            if record.id in rows:
                scores[rows[record.id], column] = -1.0  # no image is its own rival
        found.append(fingerprints_of(records))
        levels.append(soft_maximum(scores))
    marked = np.concatenate(found) if found else np.empty(0, dtype=np.uint64)
    order = np.argsort(marked)
    level = np.concatenate(levels) if levels else np.empty(0, dtype=np.float32)
    background = [image.vector for image in images[:BACKGROUND]]
    drawn = np.stack(background) if background else np.empty((0, 0), dtype=np.float32)
    return Reference(drawn, marked[order], level[order]), matching.matches, len(marked)
