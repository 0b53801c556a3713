"""Records and vectors for the store's tests."""

from dataclasses import replace

import numpy as np

from ml_api.records import ImageRecord, Vectors, image_id

MODEL = "test-model@1"
DIM = 8


def record(key: str, **changes) -> ImageRecord:
    plain = ImageRecord(
        id=image_id(key),
        key=key,
        version="v1",
        digest="d" * 64,
        width=640,
        height=480,
        indexed_at=1_700_000_000.25,
        metadata={},
    )
    return replace(plain, **changes)


def unit_vectors(count: int, seed: int = 0, dim: int = DIM) -> Vectors:
    vectors = np.random.default_rng(seed).normal(size=(count, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def axis(number: int) -> Vectors:
    """One vector along a coordinate axis, shape (1, DIM)."""
    return np.eye(DIM, dtype=np.float32)[[number]]


def gallery(count: int, seed: int = 0) -> tuple[list[ImageRecord], Vectors]:
    return [record(f"shelf {number % 7}/picture {number}.jpg") for number in range(count)], unit_vectors(count, seed)
