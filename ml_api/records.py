"""The value types that cross module boundaries. All are frozen."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
"""Shape (n, dim), float32, every row L2-normalised and finite."""

_ID = re.compile(r"[0-9a-f]{32}")


def image_id(key: str) -> str:
    """The primary key of the image with this key: 32 hex digits, safe in URLs and in Milvus expressions."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def is_image_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Entry:
    """The fields of a stored image by which a sync tells whether it changed."""

    id: str
    key: str
    version: str
    """Size, modification time and metadata fingerprint: tells a change without reading the file."""
    digest: str
    """SHA-256 of the file's bytes, 64 hex digits."""
    phash: str = field(default="", kw_only=True)
    """The perceptual hash of the picture (`images.perceptual`), 16 hex digits; empty if it is not known."""


@dataclass(frozen=True, slots=True)
class ImageRecord(Entry):
    """Everything that is stored of an image except its vector. `width` and `height` are pixels as displayed (EXIF applied)."""

    width: int
    height: int
    indexed_at: float
    """Seconds since the epoch, UTC."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    edited: Mapping[str, str] = field(default_factory=dict)
    """The fields of `metadata` that were set or removed over the API, each with a mark of what the corpus said of it then
    (`indexing.edits`)."""

    @property
    def entry(self) -> Entry:
        return Entry(self.id, self.key, self.version, self.digest, phash=self.phash)


@dataclass(frozen=True, slots=True)
class TextMatch:
    """That an image has words of the query: in which fields (`key`, or those of its metadata), and how certainly they name it."""

    fields: tuple[str, ...]
    certainty: float
    """0 to 1. Of several texts each counts by its weight."""
    by_term: tuple[float, ...]
    """How certainly the words of each term of the query alone name it, 0 to 1; 0 for a term without words."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One search result. `score` is the similarity in the collection's metric: higher is closer, whatever the metric."""

    record: ImageRecord
    score: float
    match: TextMatch | None = None
    """None if it was found by its vector alone."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The model that computes the vectors. Only vectors with the same `model_id` can be compared."""

    name: str
    """The configured or published name: `clip-ViT-B-32`, `demo model`."""
    revision: str
    """Commit or content hash of the weights."""
    dim: int
    device: str
    precision: str
    """`fp32`, `bf16` or `fp16`; not part of the model's identity."""
    text_model: str = ""
    """Name and revision of the text encoder beside it, which embeds texts in its place; empty if there is none. Not part of the
    model's identity either, as the stored vectors are of images."""

    @property
    def model_id(self) -> str:
        return f"{self.name}@{self.revision}"
