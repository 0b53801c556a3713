"""What Milvus Lite holds, in files and in memory, is searched within this process, and found as any store would find it."""

import gc
from contextlib import contextmanager
from weakref import ref

import numpy as np
import pytest
from pymilvus import MilvusClient

from ml_api.metrics import Metrics
from ml_api.records import image_id
from ml_api.vectors.base import SearchOptions
from ml_api.vectors.filters import parse
from ml_api.vectors.memory import MemoryStore
from ml_api.vectors.milvus import MilvusEndpoint, MilvusStore
from ml_api.vectors.milvus.index import VectorIndex
from tests.contracts.samples import record

DIM = 8
NAMES = [f"photo-{number}" for number in range(60)]


def vectors_of(number, seed):
    drawn = np.random.default_rng(seed).standard_normal((number, DIM)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


@contextmanager
def stored_in_both(folder, kind):
    """Milvus Lite with rows in three files, among them old versions and deleted ones, and a store in memory with the same."""
    lite = MilvusStore(MilvusEndpoint(str(folder / "vectors.db")), "flushed", VectorIndex(kind=kind), Metrics())
    both = (lite, MemoryStore())
    for store in both:
        store.ensure("model@1", DIM)
        store.upsert([record(name) for name in NAMES], vectors_of(60, 1))
        store.flush()
        store.upsert([record(name) for name in NAMES[20:40]], vectors_of(20, 2))
        store.flush()
        store.delete([image_id(name) for name in NAMES[35:45]])
        store.flush()
        store.upsert([record(name) for name in NAMES[43:45]], vectors_of(2, 3))
        store.flush()
    yield both
    lite.close()


@pytest.fixture(params=["HNSW", "FLAT"])
def stores(request, tmp_path):
    with stored_in_both(tmp_path, request.param) as both:
        yield both


def found(store, vectors, options):
    return [[(hit.record, pytest.approx(hit.score, abs=1e-5)) for hit in hits] for hits in store.search(vectors, options)]


@pytest.mark.parametrize("options", [SearchOptions(60), SearchOptions(5, offset=7), SearchOptions(3, offset=100)])
def test_old_versions_and_deleted_rows_are_not_found(stores, options):
    lite, memory = stores
    wanted = vectors_of(7, 4)
    assert found(lite, wanted, options) == found(memory, wanted, options)


@pytest.mark.parametrize("kind", ["HNSW", "IVF_FLAT", "IVF_SQ8"])
def test_an_index_leaves_old_rows_out_and_its_parameters_as_they_are(tmp_path, kind):
    """Searches that run at once share it."""
    with stored_in_both(tmp_path, kind) as (lite, memory):
        engine = lite._opening.access._server._database.get_collection(lite._open_now().collection)
        engine._wait_for_bg()
        indexes = [segment.index._index for segment in engine._read_snapshot()[0]]
        before = [index.hnsw.efSearch if kind == "HNSW" else index.nprobe for index in indexes]
        [hits], [expected] = (store.search(vectors_of(1, 4), SearchOptions(60)) for store in (lite, memory))
        assert sorted(hit.record.key for hit in hits) == sorted(hit.record.key for hit in expected)
        assert [index.hnsw.efSearch if kind == "HNSW" else index.nprobe for index in indexes] == before


def test_what_is_written_after_a_search_is_found_by_the_next(stores):
    wanted = vectors_of(1, 5)
    for flush in (False, True):
        for store in stores:
            store.search(wanted, SearchOptions(1))
            store.upsert([record(f"later-{flush}")], wanted)
            store.delete([image_id("later-False")] if flush else [])
            if flush:
                store.flush()
        lite, memory = stores
        assert lite.search(wanted, SearchOptions(1))[0][0].record.key == f"later-{flush}"
        assert found(lite, wanted, SearchOptions(60)) == found(memory, wanted, SearchOptions(60))


def change(store, step):
    """Drawn from `step`."""
    chance = np.random.default_rng((8, step))
    names = [NAMES[number] for number in chance.integers(0, 60, size=chance.integers(1, 4))]
    match chance.integers(0, 5):
        case 0:
            store.delete([image_id(name) for name in names])
        case 1:
            store.flush()
        case _:
            records = [record(name, width=int(chance.integers(0, 200))) for name in names]
            store.upsert(records, vectors_of(len(names), 100 + step))


def test_whatever_was_written_between_two_searches_the_second_finds_it(stores, monkeypatch):
    def fail(*_args, **_options):
        pytest.fail("Milvus Lite was asked through its server")

    monkeypatch.setattr(MilvusClient, "search", fail)
    monkeypatch.setattr(MilvusClient, "query", fail)
    lite, memory = stores
    some = parse({"width": {"gte": 100}})
    for step in range(25):
        for store in stores:
            change(store, step)
        wanted = vectors_of(2, 200 + step)
        for options in (
            SearchOptions(60),
            SearchOptions(4, offset=1),
            SearchOptions(60, filter=some),
            SearchOptions(4, offset=1, exact=True),
            SearchOptions(4, exact=True, filter=some),
        ):
            assert found(lite, wanted, options) == found(memory, wanted, options), step
        assert lite.count() == memory.count(), step
        assert lite.page("", 60, filter=some) == memory.page("", 60, filter=some)
        after, until = sorted(image_id(f"bound {step} {number}") for number in range(2))
        assert list(lite.entries(after, until)) == list(memory.entries(after, until))
        for only in (None, some):
            assert lite.page(after, 7, filter=only) == memory.page(after, 7, filter=only)


def test_files_that_were_merged_and_collections_that_were_dropped_are_held_by_nobody(stores):
    """Each of their tables has the vectors of its rows."""
    lite, _ = stores
    database = lite._opening.access._server._database
    name = lite._open_now().collection
    engine = database.get_collection(name)
    both = (SearchOptions(3), SearchOptions(3, filter=parse({"key": {"prefix": "photo"}})))

    def searched(engine):
        for options in both:
            assert lite.search(vectors_of(1, 6), options)[0]
        engine._wait_for_bg()
        return {segment.file_path: ref(segment.table) for segment in engine._read_snapshot()[0]}

    before = searched(engine)
    for number in range(5):
        lite.upsert([record(f"more-{number}")], vectors_of(1, 7 + number))
        lite.flush()
    after = searched(engine)
    searched(engine)
    gc.collect()
    merged = before.keys() - after.keys()
    assert merged
    assert [path for path in merged if before[path]() is not None] == []
    del engine
    database.drop_collection(name)
    gc.collect()
    assert [path for path, table in after.items() if table() is not None] == []
