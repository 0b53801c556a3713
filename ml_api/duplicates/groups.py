"""Groups of duplicates: their images, the evidence for each, its thresholds, and which of equal files to keep."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from ml_api.images.perceptual import Turn
from ml_api.records import ImageRecord

NEAR_BITS: Final = 7
NEAR_SIMILARITY: Final = 0.55
SIMILARITY: Final = 0.98
"""Defaults, chosen with `benchmarks.duplicates`: equal hashes need little support, the embedding alone must be sure."""

UPLOADS_FOLDER: Final = "uploads"
"""Where the page keeps what is added, unless another folder is named."""


class Kind(StrEnum):
    """How an image duplicates another."""

    EXACT = "exact"
    """The same bytes."""
    NEAR = "near"
    """Probably the same picture: perceptual hash and embedding agree."""
    SIMILAR = "similar"
    """Alike by the embedding alone."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """How alike two images are."""

    similarity: float
    """The cosine of their embeddings."""
    bits: int | None = None
    """Number of bits in which the perceptual hashes differ; None if one of the images has none, or is of one colour."""
    turn: Turn | None = None
    """How the first image has to be turned to look like the second."""


@dataclass(frozen=True, slots=True)
class DuplicateThresholds:
    """When two images count as duplicates. Similarities are cosines; which are high depends on the model."""

    near_bits: int = NEAR_BITS
    """Most bits, of 63, in which the perceptual hashes of a near pair differ."""
    near_similarity: float = NEAR_SIMILARITY
    similarity: float = SIMILARITY
    """Least similarity of a similar pair."""

    def kind(self, evidence: Evidence) -> Kind | None:
        """The kind of a pair of images whose bytes differ; None if it is no pair."""
        if evidence.bits is not None and evidence.bits <= self.near_bits and evidence.similarity >= self.near_similarity:
            return Kind.NEAR
        return Kind.SIMILAR if evidence.similarity >= self.similarity else None


@dataclass(frozen=True, slots=True)
class Duplicate:
    """An image of a group, with the evidence that it duplicates the group's first image."""

    record: ImageRecord
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Group:
    """An image with its duplicates of one kind; `more` if there are others. Of equal files the `image` is the one to keep."""

    kind: Kind
    image: ImageRecord
    duplicates: list[Duplicate]
    more: bool


@dataclass(slots=True)
class DuplicatesPage:
    """The groups of one page, with the number of images compared."""

    groups: list[Group] = field(default_factory=list)
    compared: int = 0
    without_hash: int = 0
    """How many of the compared images have no perceptual hash."""
    next: str = ""
    """The id after which the next page begins; "" on the last page."""


def senior_first(records: Iterable[ImageRecord]) -> list[ImageRecord]:
    """In the order in which equal files are to be kept: those that belong to the corpus before those that were added on the page,
    and what was indexed first before copies of it."""
    return sorted(records, key=lambda record: (record.key.startswith(f"{UPLOADS_FOLDER}/"), record.indexed_at, record.key))
