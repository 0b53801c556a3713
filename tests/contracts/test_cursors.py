"""Pages by cursor over real indexes: no hit twice and none missed, where pages by offset have both."""

import numpy as np
import pytest

from ml_api.deadline import Deadline
from ml_api.embedding.batching import BatchingEncoder
from ml_api.embedding.fake import FakeEncoder, FakePreprocessor
from ml_api.metrics import Metrics
from ml_api.search import Query, Searcher, VectorTerm
from ml_api.vectors.base import SearchOptions
from ml_api.vectors.milvus import VectorIndex
from tests.contracts.samples import record, unit_vectors
from tests.wordless import wordless

IMAGES = 400


@pytest.fixture
def embedder():
    embedder = BatchingEncoder(FakeEncoder(), Metrics())
    yield embedder
    embedder.close()


def test_pages_of_an_index_that_misses_some_are_whole(make_store, embedder):
    """Looking for few, this index finds worse ones than looking for many."""
    store = make_store("milvus-lite", index=VectorIndex(hnsw_m=4, hnsw_ef_construction=8, hnsw_ef=1))
    dim = embedder.model.dim
    store.ensure(embedder.model.model_id, dim)
    vectors = unit_vectors(IMAGES, seed=4, dim=dim)
    store.upsert([record(f"{number:03}") for number in range(IMAGES)], vectors)
    store.flush()
    searcher = Searcher(FakePreprocessor(), embedder, store, Metrics(), wordless(store))
    wanted = VectorTerm(tuple(unit_vectors(1, seed=5, dim=dim)[0].tolist()))

    def page(limit, offset=0, cursor=None):
        query = Query.of(wanted, SearchOptions(limit, offset), cursor=cursor)
        return searcher.search(query, Deadline.within(60))

    by_cursor, cursor = [], None
    while True:
        result = page(9, cursor=cursor)
        by_cursor += [hit.record.key for hit in result.hits]
        if (cursor := result.next_cursor) is None:
            break
    by_offset = [hit.record.key for offset in range(0, IMAGES, 9) for hit in page(9, offset).hits]
    assert len(by_cursor) == len(set(by_cursor))
    assert set(by_offset) <= set(by_cursor)
    assert len(set(by_cursor)) > len(set(by_offset)), "or this index shows nothing"
    exact = np.argsort(-(vectors @ np.array(wanted.vector, dtype=np.float32)))[:50]
    assert {f"{number:03}" for number in exact} <= set(by_cursor)
