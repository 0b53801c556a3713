"""The same scenario on Milvus and on the exact MemoryStore: the answers agree."""

import time

import numpy as np
import pytest

from ml_api.records import image_id
from ml_api.vectors.base import SearchOptions
from ml_api.vectors.milvus import VectorIndex
from ml_api.vectors.milvus.index import EMBEDDED_KINDS, SERVER_KINDS
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


KINDS = [
    *(("milvus-lite", kind) for kind in EMBEDDED_KINDS if kind != "FLAT"),
    *(("milvus", kind) for kind in SERVER_KINDS if kind != "FLAT"),
]
"""FLAT is exact anyway."""


@pytest.mark.parametrize(("backend", "kind"), KINDS)
def test_exact_search_finds_what_the_oracle_finds_however_little_the_index_looks_at(make_store, backend, kind):
    index = VectorIndex(kind=kind, hnsw_ef=1, ivf_nlist=64, ivf_nprobe=1, pq_m=4, scann_reorder_k=1)
    store, oracle = make_store(backend, index), make_store("memory", index)
    # Sixty equal vectors are what HNSW's graph connects worst.
    vectors = np.concatenate([unit_vectors(1500, seed=4, dim=DIM), np.repeat(unit_vectors(1, seed=5, dim=DIM), 60, axis=0)])
    for each in (store, oracle):
        each.ensure("model@1", DIM)
        each.upsert([record(str(number)) for number in range(len(vectors))], vectors)
        each.delete([image_id("7")])
        each.flush()
    queries = np.concatenate([vectors[-1:], vectors[:4]])
    for options in (SearchOptions(70, exact=True), SearchOptions(25, 30, exact=True)):
        for found, best in zip(store.search(queries, options), oracle.search(queries, options), strict=True):
            assert [hit.score for hit in found] == pytest.approx([hit.score for hit in best], abs=1e-6)
            clear = found[-1].score + 1e-6  # equal vectors may differ by rounding
            assert {hit.record.id for hit in found if hit.score > clear} == {hit.record.id for hit in best if hit.score > clear}
    assert all(len(hits) == 70 for hits in store.search(queries, SearchOptions(70)))


@pytest.mark.parametrize("metric", METRICS)
def test_exact_search_scores_as_the_metric_says(make_store, metric):
    index = VectorIndex(metric=metric)
    store, oracle = make_store("milvus-lite", index), make_store("memory", index)
    for each in (store, oracle):
        play(each, seed=8)
    queries = unit_vectors(4, seed=80, dim=DIM)
    for options in (SearchOptions(300, exact=True), SearchOptions(7, 40, exact=True)):
        for found, best in zip(store.search(queries, options), oracle.search(queries, options), strict=True):
            assert [hit.record for hit in found] == [hit.record for hit in best]
            assert [hit.score for hit in found] == pytest.approx([hit.score for hit in best], abs=1e-5)


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
