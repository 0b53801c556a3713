"""The few value types that cross module borders. All frozen: a record that changed is a new record."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
"""Shape (n, dim), float32, every row L2-normalised and finite."""

_ID = re.compile(r"[0-9a-f]{32}")


def image_id(key: str) -> str:
    """The primary key of the image called `key`: 32 hex digits, so it is safe in URLs and in Milvus expressions."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def is_image_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Entry:
    """What a sync needs to know of a stored image to tell whether it changed."""

    id: str
    key: str
    version: str
    """Tells a change without reading the file: size, modification time and metadata fingerprint."""
    digest: str
    """sha256 of the file's bytes, 64 hex digits."""


@dataclass(frozen=True, slots=True)
class ImageRecord(Entry):
    """All that is stored of an image beside its vector. `width` and `height` are pixels as displayed (EXIF applied)."""

    width: int
    height: int
    indexed_at: float
    """Seconds since the epoch, UTC."""
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hit:
    """One search result. `score` is the similarity in the collection's metric: higher is closer, whatever the metric."""

    record: ImageRecord
    score: float


class SyncOutcome(StrEnum):
    """What became of a file in a sync."""

    ADDED = "added"
    REPLACED = "replaced"
    MOVED = "moved"
    REMOVED = "removed"
    UNCHANGED = "unchanged"
    DUPLICATE = "duplicate"
    """A new file with the bytes of one that was indexed before: it took over its vector."""
    UNLISTED = "unlisted"
    """Indexed, and it stays: the folder where its file lies, or lay, could not be listed."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Which model makes the vectors. Two vectors may be compared only if their `model_id` is the same."""

    name: str
    """What people call it, as configured: `clip-ViT-B-32`, `demo model`."""
    revision: str
    """Commit or content hash of the weights."""
    dim: int
    device: str
    precision: str
    """`fp32`, `bf16` or `fp16`: how it is computed, no part of which model it is."""

    @property
    def model_id(self) -> str:
        return f"{self.name}@{self.revision}"
