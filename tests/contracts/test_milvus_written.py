"""Rows that are written to Milvus Lite within this process are those that its own server would have written."""

import errno
import shutil
import threading
from contextlib import closing, contextmanager

import milvus_lite.engine.flush
import numpy as np
import pyarrow as pa
import pytest
from milvus_lite.exceptions import PartitionNotFoundError

from ml_api.errors import StoreUnavailable
from ml_api.metrics import Metrics
from ml_api.records import image_id
from ml_api.vectors.base import SearchOptions
from ml_api.vectors.milvus import MilvusEndpoint, MilvusStore, VectorIndex
from ml_api.vectors.milvus.calls import among
from ml_api.vectors.milvus.embedded.flushing import SLOW_ROWS
from ml_api.vectors.milvus.embedded.recovery import EVERY_S
from ml_api.vectors.milvus.schema import rows_of
from ml_api.vectors.validation import check_records
from tests.contracts.samples import DIM, MODEL, record, unit_vectors
from tests.waiting import wait_until

METADATA = (
    {},
    {"title": 'Grüße "quoted" \\ 東京 🎉\n', "empty": "", "nothing": None, "yes": True},
    {"large": 2**63 - 1, "small": -(2**63), "tiny": 5e-324, "pi": 3.141592653589793, "1e3": 1e300},
    {"nested": [{"a": [1, 2.5, "x"]}, []], "$meta": {"id": "other"}, "id": "not the id"},
)


def drawn(names, seed):
    records = [
        record(
            f"shelf/{name} ü'\"\\.jpg",
            version=f"v{seed}-{number}",
            phash="0123456789abcdef" if number % 2 else "",
            width=number,
            height=2**40 + seed,
            indexed_at=1_700_000_000 + number / 3,
            metadata=METADATA[number % len(METADATA)],
            edited={"title": "2026-01-01T00:00:00Z"} if number % 5 == 1 else {},
        )
        for number, name in enumerate(names)
    ]
    return records, unit_vectors(len(records), seed)


@contextmanager
def opened(folder, timeout_s=10):
    with closing(MilvusStore(MilvusEndpoint(str(folder)), "written", VectorIndex(), Metrics(), timeout_s)) as store:
        store.ensure(MODEL, DIM)
        yield store


class Here:
    @staticmethod
    def upsert(store, records, vectors):
        store.upsert(records, vectors)

    @staticmethod
    def delete(store, ids):
        store.delete(ids)


class ByItsServer:
    @staticmethod
    def upsert(store, records, vectors):
        rows = rows_of(records, check_records(records, vectors, DIM), vectors)
        store._open_now().client.upsert(store._open_now().collection, rows)

    @staticmethod
    def delete(store, ids):
        store._open_now().client.delete(store._open_now().collection, filter=among(ids))


def engine(store):
    return store._opening.access._server._database.get_collection(store._open_now().collection)


def rows(store):
    now = store._open_now()
    return sorted(now.client.query(now.collection, filter='id != ""', output_fields=["*"]), key=lambda row: row["id"])


def logged(store):
    return engine(store)._memtable._insert_batches


def in_files(store):
    return [segment.table for segment in engine(store)._read_snapshot()[0]]


def killed(folder):
    """What a process leaves behind that is killed now."""
    return shutil.copytree(folder, folder.with_name(f"killed {folder.name}"))


NEW = [f"photo-{number}" for number in range(60)]
STEPS = (
    lambda store, write: write.upsert(store, *drawn(NEW, 1)),
    lambda store, write: write.upsert(store, *drawn(NEW[10:30], 2)),  # others of theirs are in memory
    lambda store, write: write.upsert(store, *drawn([NEW[3], NEW[4], NEW[3]], 3)),  # one comes twice
    lambda store, _: store.flush(),
    lambda store, write: write.upsert(store, *drawn(NEW[20:40], 4)),  # others of theirs are in a file
    lambda store, write: write.delete(store, [image_id(f"shelf/{name} ü'\"\\.jpg") for name in NEW[35:45]]),
    lambda store, write: write.upsert(store, *drawn(NEW[43:47], 5)),  # some were deleted
)


def test_what_is_logged_filed_recovered_and_read_back_is_the_same(tmp_path):
    folders = [tmp_path / "here", tmp_path / "server"]
    with opened(folders[0]) as ours, opened(folders[1]) as theirs:
        for step in STEPS:
            step(ours, Here)
            step(theirs, ByItsServer)
            assert len(logged(ours)) == len(logged(theirs))
            assert all(one.equals(other, check_metadata=True) for one, other in zip(logged(ours), logged(theirs), strict=True))
            assert rows(ours) == rows(theirs)
        folders += [killed(folder) for folder in folders]
        for store in (ours, theirs):
            store.flush()
        assert pa.concat_tables(in_files(ours)).equals(pa.concat_tables(in_files(theirs)))
        last = rows(ours)
        assert len(last) == 60 - 8
        assert rows(theirs) == last
    for folder in folders:
        with opened(folder) as store:
            assert rows(store) == last, folder


def test_a_file_has_the_table_that_the_engine_makes_of_the_rows_in_memory(tmp_path):
    with opened(tmp_path / "here") as store:
        for step in STEPS[:3]:
            step(store, Here)
        [[made, _]] = engine(store)._memtable.flush(["_default"]).values()
        store.flush()
        [filed] = in_files(store)
    assert filed.equals(made, check_metadata=False)
    assert filed.schema.equals(made.schema, check_metadata=False)


def test_the_callers_array_is_its_own_again_afterwards(tmp_path):
    with opened(tmp_path / "here") as store:
        records, vectors = drawn(NEW[:3], 1)
        before = vectors.copy()
        store.upsert(records, vectors)
        vectors[:] = 0
        found = store.vectors([one.id for one in records])
        np.testing.assert_array_equal(np.stack([found[one.id] for one in records]), before)


@pytest.mark.parametrize(
    ("raised", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), r"has no space left on its disk \(upsert\)"),
        (OSError(errno.EFBIG, "File too large"), r"has no space left on its disk \(upsert\)"),
        (AssertionError("secret"), r"failed with Milvus error code 1 \(upsert\)"),
        (PartitionNotFoundError("secret"), r"failed with Milvus error code 200 \(upsert\)"),
    ],
)
def test_what_the_engine_raises_is_told_as_its_server_tells_it(tmp_path, raised, words):
    """And nothing is written any more: the log may end in half a record."""

    def fail(_batch):
        raise raised

    with opened(tmp_path / "here") as store:
        engine(store)._wal.write_insert = fail
        with pytest.raises(StoreUnavailable, match=words) as told:
            store.upsert(*drawn(NEW, 1))
        assert told.value.__cause__.__cause__ is raised
        with pytest.raises(StoreUnavailable, match="takes no calls"):
            store.upsert(*drawn(NEW, 1))


@pytest.mark.parametrize("part", ["write_insert", "write_delete"])
def test_a_store_that_can_be_written_again_has_all_that_was_acknowledged(tmp_path, part):
    def fail(_batch):
        raise OSError(errno.ENOSPC, "No space left on device")

    with opened(tmp_path / "here") as store:
        store.upsert(*drawn(NEW[:20], 1))
        store.flush()
        store.upsert(*drawn(NEW[10:30], 2))
        before = rows(store)
        setattr(engine(store)._wal, part, fail)
        with pytest.raises(StoreUnavailable, match="no space left"):
            store.upsert(*drawn(NEW[25:40], 3)) if part == "write_insert" else store.delete([image_id(NEW[0])])
        with pytest.raises(StoreUnavailable, match="takes no calls"):
            store.count()
        store.ping()
        assert rows(store) == before
        assert store.search(unit_vectors(1), SearchOptions(1)) != [[]]
        store.upsert(*drawn(NEW[25:40], 3))
        after = rows(store)
        assert len(after) > len(before)
    with opened(tmp_path / "here") as store:
        assert rows(store) == after


@pytest.mark.parametrize("part", ["write_insert", "write_delete"])
def test_a_store_that_cannot_be_written_names_the_error(tmp_path, part):

    def fail(_batch):
        raise OSError(errno.EIO, "secret")

    with opened(tmp_path / "here") as store:
        setattr(engine(store)._wal, part, fail)
        with pytest.raises(StoreUnavailable, match="error code 1"):
            store.upsert(*drawn(NEW[:3], 1)) if part == "write_insert" else store.delete([image_id(NEW[0])])
        with pytest.raises(StoreUnavailable, match="takes no calls, as a write failed: Input/output error"):
            store.count()


def test_files_that_are_still_merged_hold_up_the_recovery_no_longer_than_the_store_may_take(tmp_path):
    """Health checks, which make it, waited for the end of the merge."""
    merged = threading.Event()

    def fail(_batch):
        raise OSError(errno.ENOSPC, "No space left on device")

    with opened(tmp_path / "here", timeout_s=1) as store:
        store.upsert(*drawn(NEW[:20], 1))
        before = rows(store)
        wait_until(engine(store)._bg_executor.submit(merged.wait, 60).running)
        engine(store)._wal.write_insert = fail
        with pytest.raises(StoreUnavailable, match="no space left"):
            store.upsert(*drawn(NEW[25:40], 3))
        with pytest.raises(StoreUnavailable, match="its files are still being merged after 1 s"):
            store.ping()
        with pytest.raises(StoreUnavailable, match="takes no calls"):
            store.count()
        merged.set()
        store._opening.access._recovery._tried_at -= EVERY_S
        store.ping()
        assert rows(store) == before


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Milvus Lite leaves such a log open
def test_rows_that_a_full_disk_keeps_out_of_a_file_when_the_store_is_closed_are_there_again(tmp_path, monkeypatch, caplog):
    def fail(*_args, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    with opened(tmp_path / "full") as store:
        store.upsert(*drawn(NEW[:20], 1))
        before = rows(store)
        monkeypatch.setattr(milvus_lite.engine.flush, "write_data_file", fail)
    assert "writing its files failed: no space left on its disk" in caplog.text
    monkeypatch.undo()
    with opened(tmp_path / "full") as store:
        assert rows(store) == before
        assert len(in_files(store)) == 1


def test_rows_are_filed_also_if_no_thread_can_be_started_to_index_them(tmp_path, caplog):
    """While a program ended, the store took that for a file that could not be written, and took no further calls."""
    with opened(tmp_path / "ends") as store:
        engine(store)._bg_executor.shutdown()
        for turn in range(2):
            store.upsert(*drawn(NEW[turn * 10 :][:20], turn))
            store.flush()
        before = rows(store)
        assert store.count() == len(before) == 30
        assert store.search(unit_vectors(1), SearchOptions(1)) != [[]]
    assert "not indexed now: cannot schedule new futures after shutdown" in caplog.text
    assert "CRITICAL" not in caplog.text
    with opened(tmp_path / "ends") as store:
        assert rows(store) == before
        assert len(in_files(store)) == 2
        wait_until(lambda: all(segment.indexes for segment in engine(store)._read_snapshot()[0]))


def test_a_health_check_is_no_reason_to_file_rows_early(tmp_path):
    """It comes every 15 s, so that an import in a service was filed in pieces."""
    with opened(tmp_path / "here") as store:
        store.ping()
        store.upsert(*drawn(range(SLOW_ROWS), 1))
        store.ping()
        assert in_files(store) == []
        store.search(unit_vectors(1), SearchOptions(1))
        assert in_files(store) == []
        store.ping()
        assert len(in_files(store)) == 1
