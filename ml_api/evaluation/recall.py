"""Measures the recall and the time of an index against exact search, and the overlap of the neighbours that two models find."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from time import perf_counter
from typing import Final

import numpy as np

from ml_api.records import Hit, Vectors
from ml_api.vectors.base import SEARCH_PARAMETERS, SearchOptions, VectorStore
from ml_api.vectors.scoring import recall

AT_ONCE: Final = 16
SEED: Final = 7
QUERIES: Final = 200
"""Queries of an overlap: with this number, the standard error of the mean is about 0.02."""
K: Final = 10
"""Neighbours of an image that an overlap compares."""


@dataclass(frozen=True, slots=True)
class Measured:
    """`recall` is the share of the exact answers that was found; `ms` is the median time of a search of one vector."""

    effort: int | None
    """The search parameter of the index (`SearchOptions.effort`); None for the exact search."""
    recall: float
    ms: float


def sample(store: VectorStore, number: int) -> tuple[list[str], Vectors]:
    """Draw stored images at random, the same ones at every call; returns their ids and vectors (n, dim). Raises Unavailable."""
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
    """Measure the exact search, then the index at each of `efforts`. `queries` are the vectors of the images `ids`, which do not
    count as hits of themselves. Raises Unavailable.
    """
    neighbours = partial(_neighbours, store, ids, queries)
    exactly = SearchOptions(k + 1, exact=True)
    exact = neighbours(exactly)
    # An exact search may take seconds, so only three are timed.
    yield Measured(None, 1.0, _median_ms(partial(store.search, options=exactly), queries[:3]))
    for effort in efforts:
        options = SearchOptions(k + 1, effort=effort)
        shares = [recall(hits, best) for hits, best in zip(neighbours(options), exact, strict=True) if best]
        time_ms = _median_ms(partial(store.search, options=options), queries)
        yield Measured(effort, sum(shares) / len(shares) if shares else 1.0, time_ms)


@dataclass(frozen=True, slots=True)
class IndexRecall:
    """The recall of an index, measured with the vectors of stored images as queries."""

    images: int
    """How many images are queries. With fewer than two, nothing is measured."""
    steps: int
    """The number of `rows`."""
    rows: Iterator[Measured]
    """The measurements, each made when the iterator is advanced, which raises Unavailable."""


def recall_of_index(store: VectorStore, index: str, queries: int, k: int) -> IndexRecall:
    """Measure an index of the kind `index` at each search parameter in SEARCH_PARAMETERS, with `queries` images. Raises
    Unavailable.
    """
    ids, vectors = sample(store, queries)
    if len(ids) < 2:
        return IndexRecall(len(ids), 0, iter(()))
    efforts = SEARCH_PARAMETERS[index].tried if index in SEARCH_PARAMETERS else ()
    return IndexRecall(len(ids), 1 + len(efforts), recall_of(store, ids, vectors, efforts, k))


@dataclass(frozen=True, slots=True)
class Overlap:
    """`mean` is the share of the `K` nearest images under one model that are among the `K` nearest under the other."""

    queries: int
    mean: float

    def __str__(self) -> str:
        if not self.queries:
            return "no image is in both"
        return f"of the {K} most similar images, {self.mean:.0%} are the same under both models (mean of {self.queries} images)"


def overlap(first: VectorStore, second: VectorStore, queries: int = QUERIES) -> Overlap:
    """Measure the overlap over images drawn at random. Needs neither model: the stored vectors are the queries. Raises
    Unavailable."""
    ids, vectors = sample(first, queries)
    seconds = second.vectors(ids)
    both = [place for place, image_id in enumerate(ids) if image_id in seconds]
    if not both:
        return Overlap(0, 0.0)
    ids = [ids[place] for place in both]
    near_first = _near(first, ids, vectors[both])
    near_second = _near(second, ids, np.stack([seconds[image_id] for image_id in ids]))
    pairs = zip(near_first, near_second, strict=True)
    shares = [len(left & right) / max(len(left), len(right)) for left, right in pairs if left or right]
    return Overlap(len(shares), sum(shares) / len(shares) if shares else 0.0)


def _near(store: VectorStore, ids: Sequence[str], queries: Vectors) -> list[set[str]]:
    return [{hit.record.id for hit in hits} for hits in _neighbours(store, ids, queries, SearchOptions(K + 1))]


def _neighbours(store: VectorStore, ids: Sequence[str], queries: Vectors, options: SearchOptions) -> list[list[Hit]]:
    """The nearest neighbours of each image without the image itself: `options.limit` - 1 of them."""
    found = [hits for rows in _parts(queries) for hits in store.search(rows, options)]
    return [
        [hit for hit in hits if hit.record.id != image_id][: options.limit - 1] for image_id, hits in zip(ids, found, strict=True)
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
