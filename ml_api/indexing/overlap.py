"""How alike two models see a corpus: of the nearest images of an image, how many are the same under both."""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ml_api.records import Vectors
from ml_api.vectors.base import SearchOptions, VectorStore

QUERIES: Final = 200
"""Images asked for; with so many, the mean of ten hits each is known to about 0.02."""
K: Final = 10
_AT_ONCE: Final = 50


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
    """Over images drawn at random. Neither model is needed: each image's own vectors are the queries."""
    shares: list[float] = []
    for ids in _batches(_drawn(one, queries)):
        first, second = one.vectors(ids), other.vectors(ids)
        both = [image for image in ids if image in first and image in second]
        if both:
            near_first = _nearest(one, both, np.stack([first[image] for image in both]))
            near_second = _nearest(other, both, np.stack([second[image] for image in both]))
            shares += [len(a & b) / max(len(a), len(b)) for a, b in zip(near_first, near_second, strict=True) if a or b]
    return Overlap(len(shares), float(np.mean(shares)) if shares else 0.0)


def _drawn(store: VectorStore, number: int) -> list[str]:
    """Ids at random: they are hashes, so the one after a random hash is any."""
    drawn = {entry.id for _ in range(number) for entry in store.page(secrets.token_hex(16), 1)}
    return sorted(drawn)


def _nearest(store: VectorStore, ids: Sequence[str], vectors: Vectors) -> list[set[str]]:
    found = store.search(vectors, SearchOptions(K + 1))
    return [{hit.record.id for hit in hits if hit.record.id != image} for image, hits in zip(ids, found, strict=True)]


def _batches(ids: list[str]) -> Iterator[list[str]]:
    return (ids[start : start + _AT_ONCE] for start in range(0, len(ids), _AT_ONCE))
