"""Recall of an index against exact search, over a store whose index misses what a test says."""

import numpy as np

from ml_api.evaluation import Measured
from ml_api.evaluation.recall import recall_of, recall_of_index, sample
from ml_api.records import ImageRecord, image_id
from ml_api.vectors.base import SEARCH_PARAMETERS
from ml_api.vectors.memory import MemoryStore


class ForgetfulStore(MemoryStore):
    """Its index finds the `effort` nearest alone."""

    def search(self, vectors, options, deadline=None):
        found = super().search(vectors, options, deadline)
        return found if options.exact else [hits[: options.effort] for hits in found]


def filled(number, store_class=ForgetfulStore):
    store = store_class()
    store.ensure("model@1", 8)
    vectors = np.random.default_rng(1).normal(size=(number, 8)).astype(np.float32)
    keys = [f"image {place}" for place in range(number)]
    records = [ImageRecord(image_id(key), key, "v", "d" * 64, 1, 1, 0.0) for key in keys]
    store.upsert(records, vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    return store


def test_recall_is_the_share_of_the_exact_answers_without_the_image_itself():
    store = filled(60)
    ids, queries = sample(store, 20)
    exact, *index = recall_of(store, ids, queries, [1, 6, 11], 10)
    assert (exact.effort, exact.recall) == (None, 1.0)
    assert [(row.effort, row.recall) for row in index] == [(1, 0.0), (6, 0.5), (11, 1.0)]
    assert all(isinstance(row, Measured) and row.ms > 0 for row in (exact, *index))


def test_equal_scores_are_interchangeable():
    store = filled(1, MemoryStore)
    same = store.vectors([image_id("image 0")])[image_id("image 0")]
    records = [ImageRecord(image_id(f"copy {n}"), f"copy {n}", "v", "d" * 64, 1, 1, 0.0) for n in range(30)]
    store.upsert(records, np.tile(same, (30, 1)))
    ids, queries = sample(store, 5)
    assert [row.recall for row in recall_of(store, ids, queries, [3], 4)] == [1.0, 1.0]


def test_a_sample_is_random_repeatable_and_of_the_size_asked_for():
    store = filled(200)
    ids, vectors = sample(store, 50)
    assert len(set(ids)) == len(vectors) == 50
    assert sample(store, 50)[0] == ids
    assert ids != sorted(ids)
    assert len(sample(store, 1000)[0]) == 200
    assert sample(filled(0), 10)[0] == []


def test_an_index_is_measured_at_every_effort_that_is_tried_with_its_kind():
    found = recall_of_index(filled(60), "FLAT", 20, 10)
    assert (found.images, found.steps, [row.effort for row in found.rows]) == (20, 1, [None])
    found = recall_of_index(filled(60), "HNSW", 20, 10)
    assert [row.effort for row in found.rows] == [None, *SEARCH_PARAMETERS["HNSW"].tried]
    assert found.steps == 1 + len(SEARCH_PARAMETERS["HNSW"].tried)


def test_of_a_single_image_nothing_is_measured():
    found = recall_of_index(filled(1), "HNSW", 20, 10)
    assert (found.images, found.steps, list(found.rows)) == (1, 0, [])
