"""What an index finds of the exact answer, and in what time; and how alike two models see a corpus."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from time import perf_counter
from typing import Final

import numpy as np

from ml_api.records import Hit, Vectors
from ml_api.vectors.base import SearchOptions, VectorStore
from ml_api.vectors.scoring import recall

AT_ONCE: Final = 16
SEED: Final = 7
QUERIES: Final = 200
"""Queries of an overlap: with so many, the mean over ten hits each is known to about 0.02."""
K: Final = 10
"""Hits that are compared for an overlap."""


@dataclass(frozen=True, slots=True)
class Measured:
    """`recall` is the share of the exact answers that were found; `ms` the median time of one search alone."""

    effort: int | None
    """None for the exact search."""
    recall: float
    ms: float


def sample(store: VectorStore, number: int) -> tuple[list[str], Vectors]:
    """Ids and vectors (n, dim) of stored images drawn at random, the same at every call. Raises Unavailable."""
    chance, drawn = random.Random(SEED), list[str]()  # noqa: S311 - a sample, no secret
    for seen, entry in enumerate(store.entries()):
        if len(drawn) < number:
            drawn.append(entry.id)
        elif (place := chance.randrange(seen + 1)) < number:
            drawn[place] = entry.id
    vectors = store.vectors(drawn)
    ids = [image_id for image_id in drawn if image_id in vectors]
    return ids, np.stack([vectors[image_id] for image_id in ids]) if ids else np.empty((0, 0), dtype=np.float32)


def recall_of(store: VectorStore, ids: Sequence[str], queries: Vectors, efforts: Sequence[int], k: int) -> Iterator[Measured]:
    """The exact search first, then the index at each effort. The images themselves are no answers. Raises Unavailable."""
    found = partial(_neighbours, store, ids, queries)
    exactly = SearchOptions(k + 1, exact=True)
    exact = found(exactly)
    # An exact search may take seconds: a few tell its time.
    yield Measured(None, 1.0, _median_ms(partial(store.search, options=exactly), queries[:3]))
    for effort in efforts:
        options = SearchOptions(k + 1, effort=effort)
        share = [recall(some, best) for some, best in zip(found(options), exact, strict=True) if best]
        time_ms = _median_ms(partial(store.search, options=options), queries)
        yield Measured(effort, sum(share) / len(share) if share else 1.0, time_ms)


@dataclass(frozen=True, slots=True)
class Overlap:
    """`mean` is the share of the `K` nearest images under one model that are among the `K` nearest under the other."""

    queries: int
    mean: float

    def __str__(self) -> str:
        if not self.queries:
            return "no image is in both"
        return f"of the {K} most similar images, {self.mean:.0%} are the same under both models (mean of {self.queries} images)"


def overlap(one: VectorStore, other: VectorStore, queries: int = QUERIES) -> Overlap:
    """Over images drawn at random. Neither model is needed: each image's own vectors are the queries. Raises Unavailable."""
    ids, vectors = sample(one, queries)
    others = other.vectors(ids)
    both = [place for place, image_id in enumerate(ids) if image_id in others]
    if not both:
        return Overlap(0, 0.0)
    ids = [ids[place] for place in both]
    pairs = zip(_near(one, ids, vectors[both]), _near(other, ids, np.stack([others[image_id] for image_id in ids])), strict=True)
    shares = [len(first & second) / max(len(first), len(second)) for first, second in pairs if first or second]
    return Overlap(len(shares), sum(shares) / len(shares) if shares else 0.0)


def _near(store: VectorStore, ids: Sequence[str], queries: Vectors) -> list[set[str]]:
    return [{hit.record.id for hit in hits} for hits in _neighbours(store, ids, queries, SearchOptions(K + 1))]


def _neighbours(store: VectorStore, ids: Sequence[str], queries: Vectors, options: SearchOptions) -> list[list[Hit]]:
    """The nearest images of each image without itself: one less than `options` ask for."""
    hits = [some for rows in _parts(queries) for some in store.search(rows, options)]
    return [
        [hit for hit in some if hit.record.id != image_id][: options.limit - 1] for image_id, some in zip(ids, hits, strict=True)
    ]


def _median_ms(search: Callable[[Vectors], object], queries: Vectors) -> float:
    times = []
    for row in range(len(queries)):
        started = perf_counter()
        search(queries[row : row + 1])
        times.append(perf_counter() - started)
    return 1000 * median(times)


def _parts(queries: Vectors) -> Iterator[Vectors]:
    return (queries[start : start + AT_ONCE] for start in range(0, len(queries), AT_ONCE))
