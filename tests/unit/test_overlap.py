"""How alike two models see a corpus."""

import numpy as np
import pytest

from ml_api.evaluation import overlap
from ml_api.vectors.memory import MemoryStore
from tests.contracts.samples import record

IMAGES = 60


def store(vectors, keys=None):
    filled = MemoryStore()
    filled.ensure(f"model-{vectors.shape[1]}", vectors.shape[1])
    keys = keys or [f"{number}.jpg" for number in range(len(vectors))]
    filled.upsert([record(key) for key in keys], vectors)
    return filled


def vectors(dim, seed=1):
    drawn = np.random.default_rng(seed).normal(size=(IMAGES, dim)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def test_the_same_space_overlaps_wholly_whatever_its_axes():
    one = vectors(16)
    other = np.hstack([one[:, ::-1], np.zeros((IMAGES, 4), dtype=np.float32)])
    found = overlap(store(one), store(np.ascontiguousarray(other)))
    assert found.mean == 1
    assert 20 < found.queries <= IMAGES
    assert "100% are the same" in str(found)


def test_unrelated_spaces_overlap_as_chance_has_it():
    assert overlap(store(vectors(64)), store(vectors(64, seed=2))).mean == pytest.approx(10 / (IMAGES - 1), abs=0.08)


def test_images_of_one_side_only_are_no_queries():
    found = overlap(store(vectors(16)), store(vectors(16), keys=[f"other-{number}" for number in range(IMAGES)]))
    assert found.queries == 0
    assert str(found) == "no image is in both"


def test_an_empty_store_has_no_queries():
    empty = MemoryStore()
    empty.ensure("model", 16)
    assert overlap(empty, store(vectors(16))).queries == 0
