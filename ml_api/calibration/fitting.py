"""Calibrates a corpus: texts of its own are searched for with their matches and without, and a fit tells the two apart."""

import random
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from ml_api.calibration.examples import Example, Sample, of_image, of_text, vectors_of
from ml_api.calibration.familiarity import Noise
from ml_api.calibration.indexed import IndexedCorpus
from ml_api.calibration.measuring import Measures, measures_of
from ml_api.calibration.nonsense import gibberish
from ml_api.calibration.pairs import pairs_of
from ml_api.calibration.surveying import MAX_MATCHES, Survey, Surveyed, rarity_of, survey
from ml_api.calibration.verdicts import Grades, learned, pairs_of_verdicts
from ml_api.search.relevance import Calibration, Reference
from ml_api.vocabulary import QUERY_KINDS, QueryKind

SEED: Final = 7
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
MAX_SHARE: Final = 0.2
"""A phrase that more of the images are about is no query whose matches could be left out."""
NO_VERDICTS: Final[Mapping[str, Grades]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Calibrated:
    """`images` is how many there were, `measures` how well it tells, cross-validated over its `queries`. It was given `verdicts`
    on the hits of `judged_texts`, and fitted to those of `used_texts`, too.
    """

    calibration: Calibration
    images: int
    queries: int
    measures: Measures
    verdicts: int = 0
    judged_texts: int = 0
    used_texts: int = 0


@dataclass(frozen=True, slots=True)
class _Material:
    """What searches of every kind are calibrated with."""

    corpus: IndexedCorpus
    sample: Sample
    noise: Noise


@dataclass(frozen=True, slots=True)
class _Draft:
    """Queries of one kind, of which it is not known yet which images they match."""

    kind: QueryKind
    rivals: Sequence[Example]
    queries: Sequence[Example]
    nonsense: Sequence[Example]
    of_texts: Mapping[str, npt.NDArray[np.float32]]
    """The vectors of all their texts, each of shape (dim,)."""

    @classmethod
    def of(cls, corpus: IndexedCorpus, sample: Sample, kind: QueryKind, chance: random.Random) -> Self | None:
        """None if the corpus has too few of them. Raises Unavailable."""
        rivals, queries = _divided(sample.examples(kind, chance))
        if len(queries) < FEWEST:
            return None
        nonsense = [of_text(text) for text in gibberish(chance, NONSENSE)] if kind == "text" else []
        texts = dict.fromkeys(one.text for one in (*rivals, *queries, *nonsense) if one.text is not None)
        return cls(kind, rivals, queries, nonsense, dict(zip(texts, corpus.embedded(list(texts)), strict=True)))


def calibrate(corpus: IndexedCorpus, kind: QueryKind = "text", verdicts: Mapping[str, Grades] = NO_VERDICTS) -> Calibrated | None:
    """Calibrate searches of this kind. `verdicts` are by the text that was searched for.

    None if the corpus has too few texts of its own to learn from. Raises Unavailable.
    """
    return _calibrated(corpus, {kind: verdicts})[kind]


def calibrate_all(corpus: IndexedCorpus, verdicts: Mapping[str, Grades] = NO_VERDICTS) -> dict[QueryKind, Calibrated | None]:
    """Calibrate searches of every kind, of which those by a text alone have `verdicts`; none if the corpus is smaller than
    FEWEST_IMAGES. Raises Unavailable.
    """
    if corpus.store.count() < FEWEST_IMAGES:
        return {}
    return _calibrated(corpus, {kind: verdicts if kind == "text" else NO_VERDICTS for kind in QUERY_KINDS})


def _calibrated(corpus: IndexedCorpus, verdicts: Mapping[QueryKind, Mapping[str, Grades]]) -> dict[QueryKind, Calibrated | None]:
    """All kinds together, as each pass over the images reads every vector: one draws a sample, the other surveys them for it."""
    chance = random.Random(SEED)  # noqa: S311 - a sample, no secret
    sample = Sample.of(corpus.store, chance)
    material, rarity = _Material(corpus, sample, Noise(corpus)), rarity_of(sample)
    drafts = [draft for kind in verdicts if (draft := _Draft.of(corpus, sample, kind, copy(chance)))]
    surveys = [Survey(rarity, draft.rivals, vectors_of(draft.rivals, draft.of_texts), draft.queries) for draft in drafts]
    made = dict[QueryKind, Calibrated | None].fromkeys(verdicts)
    if surveys:
        for draft, surveyed in zip(drafts, survey(corpus.store, sample, surveys), strict=True):
            made[draft.kind] = _fitted(material, draft, surveyed, verdicts[draft.kind])
    return made


def _fitted(material: _Material, draft: _Draft, surveyed: Surveyed, verdicts: Mapping[str, Grades]) -> Calibrated | None:
    """None if too few queries have matches. Raises Unavailable."""
    corpus, reference = material.corpus, surveyed.reference
    usable = _usable(surveyed.matches, surveyed.images)
    if sum(bool(surveyed.matches[row]) for row in usable) < FEWEST:
        return None
    nonsense = draft.nonsense
    if draft.kind == "image":
        nonsense = [of_image(picture) for picture in material.noise.pictures[: max(1, int(NOISE_SHARE * len(usable)))]]
    asked = [*(draft.queries[row] for row in usable), *nonsense]
    matches = [*(surveyed.matches[row] for row in usable), *[set[str]()] * len(nonsense)]
    images, vectors = [example.image for example in asked], vectors_of(asked, draft.of_texts)
    own = pairs_of(corpus.store, corpus.metric, reference, vectors, matches, asked_for=images)

    judged = corpus.embedded(list(verdicts))
    found = learned(own, pairs_of_verdicts(corpus.store, corpus.metric, reference, judged, list(verdicts.values())))

    probabilities, is_familiar = found.probabilities, None
    if all(images):
        familiarity = material.noise.familiarity(material.sample.images)
        probabilities = probabilities * familiarity.of_each([image for image in images if image])[own.queries.owner]
        is_familiar = familiarity.regression
    return Calibrated(
        found.pairs.fit(reference, is_familiar),
        images=surveyed.images,
        queries=len(usable),
        measures=measures_of(own.queries, probabilities),
        verdicts=sum(map(len, verdicts.values())),
        judged_texts=len(verdicts),
        used_texts=found.texts,
    )


def reference_of(corpus: IndexedCorpus) -> Reference:
    """What scores of texts are compared with, as `calibrate` makes it. Raises Unavailable."""
    sample = Sample.of(corpus.store, random.Random(SEED))  # noqa: S311 - a sample, no secret
    texts = sample.texts[: min(RIVALS, max(1, len(sample.texts) // 2))] or ["image"]
    rivals = corpus.embedded(texts)
    [surveyed] = survey(corpus.store, sample, [Survey(rarity_of(sample), [of_text(text) for text in texts], rivals, ())])
    return surveyed.reference


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
