"""The same scenario on Milvus and on the exact MemoryStore: the answers agree."""

import time

import numpy as np
import pytest

from ml_api.records import image_id
from ml_api.vectors.base import SearchOptions
from ml_api.vectors.milvus import VectorIndex
from tests.contracts.samples import record, unit_vectors

DIM = 24
METRICS = ("COSINE", "IP", "L2")
REAL_BACKENDS = ("milvus-lite", "milvus")


def play(store, seed):
    """Writes, rewrites, deletions and flushes, all drawn from `seed`."""
    chance = np.random.default_rng(seed)
    store.ensure("model@1", DIM)
    for step in range(12):
        keys = chance.integers(0, 900, size=chance.integers(1, 150))
        records = [record(f"image {key}", version=f"v{step}", metadata={"step": step}) for key in keys]
        store.upsert(records, unit_vectors(len(keys), seed=int(chance.integers(2**31)), dim=DIM))
        store.delete([image_id(f"image {key}") for key in chance.integers(0, 900, size=40)])
        if chance.random() < 0.3:
            store.flush()


def recall(found, exact):
    """The share of the exact answers that were found (recall@k), over all queries."""
    pairs = list(zip(found, exact, strict=True))
    hit = sum(len({one.record.id for one in some} & {one.record.id for one in best}) for some, best in pairs)
    return hit / sum(len(best) for _, best in pairs)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("backend", REAL_BACKENDS)
def test_an_exact_index_answers_as_the_oracle_does(make_store, backend, metric):
    index = VectorIndex(metric=metric, kind="FLAT")
    store, oracle = make_store(backend, index), make_store("memory", index)
    for each in (store, oracle):
        play(each, seed=5)
    queries = unit_vectors(10, seed=77, dim=DIM)
    assert store.count() == oracle.count()
    assert set(store.entries()) == set(oracle.entries())
    for options in (SearchOptions(1), SearchOptions(25), SearchOptions(10, 13)):
        for found, exact in zip(store.search(queries, options), oracle.search(queries, options), strict=True):
            assert [hit.record for hit in found] == [hit.record for hit in exact]
            assert [hit.score for hit in found] == pytest.approx([hit.score for hit in exact], abs=1e-5)


@pytest.mark.parametrize("metric", ["COSINE", "L2"])
@pytest.mark.parametrize("kind", ["HNSW", "IVF_FLAT"])
@pytest.mark.parametrize("backend", REAL_BACKENDS)
def test_an_approximate_index_finds_nearly_all_of_it(make_store, backend, kind, metric):
    # Vectors drawn at random form no clusters: IVF_FLAT finds them only if it looks into each.
    index = VectorIndex(metric=metric, kind=kind, ivf_nlist=16, ivf_nprobe=16)
    store, oracle = make_store(backend, index), make_store("memory", index)
    for each in (store, oracle):
        play(each, seed=6)
        each.flush()
    queries = unit_vectors(20, seed=78, dim=DIM)
    for limit in (10, 100):
        assert recall(store.search(queries, SearchOptions(limit)), oracle.search(queries, SearchOptions(limit))) >= 0.95


@pytest.mark.parametrize(
    "index", [VectorIndex(hnsw_ef=1), VectorIndex(kind="IVF_FLAT"), VectorIndex(kind="FLAT")], ids=lambda index: index.kind
)
@pytest.mark.parametrize("backend", REAL_BACKENDS)
def test_a_deep_page_is_full_and_nearly_exact(make_store, backend, index):
    """An index that looks at fewer candidates than a search skips and returns fails or answers short."""
    store, oracle = make_store(backend, index), make_store("memory", index)
    for each in (store, oracle):
        each.ensure("model@1", DIM)
        each.upsert([record(str(number)) for number in range(1200)], unit_vectors(1200, dim=DIM))
        each.flush()
    # Milvus Lite builds indexes in the background: until then it answers exactly, so ask until it does so no more, or for a while.
    queries = unit_vectors(5, seed=79, dim=DIM)
    exact = oracle.search(queries, SearchOptions(100, 400))
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        found = store.search(queries, SearchOptions(100, 400))
        assert all(len(hits) == 100 for hits in found)
        # Of vectors drawn at random IVF_FLAT may miss some, as its clusters mean nothing.
        assert index.kind == "IVF_FLAT" or recall(found, exact) >= 0.95
