"""Milvus Lite's rows move, from memory to files and from files to larger ones. Who reads meanwhile sees all, and waits for none."""

import gc
import random
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from time import perf_counter

import milvus_lite.engine.compaction
import milvus_lite.engine.flush
import milvus_lite.storage.segment
import numpy as np
import pytest

from ml_api.errors import StoreUnavailable
from ml_api.metrics import Metrics
from ml_api.records import image_id
from ml_api.vectors.base import SearchOptions
from ml_api.vectors.filters import parse
from ml_api.vectors.milvus import MilvusEndpoint, MilvusStore, VectorIndex
from ml_api.vectors.milvus.embedded.flushing import SLOW_AGE_S
from tests.contracts.samples import DIM, MODEL, record
from tests.waiting import PATIENCE_S, wait_until

NAMES = [f"photo-{number}" for number in range(40)]
WIDE = parse({"width": {"gte": 2}})
SEARCHES = (SearchOptions(40), SearchOptions(40, exact=True), SearchOptions(40, filter=WIDE))


@contextmanager
def opened(folder, kind="HNSW"):
    with closing(MilvusStore(MilvusEndpoint(str(folder)), "moving", VectorIndex(kind=kind), Metrics())) as store:
        store.ensure(MODEL, DIM)
        yield store


@pytest.fixture
def store(tmp_path):
    with opened(tmp_path / "vectors.db") as store:
        yield store


def vector(name, version):
    drawn = np.random.default_rng((int(name.removeprefix("photo-")), version)).normal(size=DIM)
    return (drawn / np.linalg.norm(drawn)).astype(np.float32)


def digest(name, version):
    return image_id(f"{name} {version}") * 2


def put(store, names, version):
    records = [record(name, width=version, digest=digest(name, version)) for name in names]
    store.upsert(records, np.stack([vector(name, version) for name in names]))


def drop(store, names):
    store.delete([image_id(name) for name in names])


def engine(store):
    return store._opening.access._server._database.get_collection(store._open_now().collection)


def files(store):
    return [segment.file_path for segment in engine(store)._read_snapshot()[0]]


def fill(store):
    """Three files, among their rows old and deleted ones, and rows in memory; a fourth file has all of them merged."""
    for version in range(3):
        put(store, NAMES[version * 10 :][:20], version)
        store.flush()
    drop(store, NAMES[5:8])
    put(store, NAMES[7:12], 7)


class Held:
    """A function that is called and does not go on until it is let."""

    def __init__(self, function):
        self._come, self._go = threading.Event(), threading.Event()

        def held(*args, **options):
            self._come.set()
            assert self._go.wait(PATIENCE_S)
            return function(*args, **options)

        self.function = held

    def wait(self):
        assert self._come.wait(PATIENCE_S)

    def let(self):
        self._go.set()


@pytest.fixture
def hold(monkeypatch):
    """Holds a function of Milvus Lite's."""
    all_held = []

    def hold(owner, name):
        held = Held(getattr(owner, name))
        all_held.append(held)
        monkeypatch.setattr(owner, name, held.function)
        return held

    yield hold
    for held in all_held:
        held.let()


def seen(store):
    """All that can be asked, in one form."""
    wanted = vector("photo-0", 0)[None]
    ids = [image_id(name) for name in NAMES]
    return (
        *({hit.record.key: pytest.approx(hit.score, abs=1e-5) for hit in store.search(wanted, options)[0]} for options in SEARCHES),
        store.get(ids),
        {id_: row.tolist() for id_, row in store.vectors(ids).items()},
        store.page("", 40),
        store.page("", 40, filter=WIDE),
        store.of_digests([digest(name, version) for name in NAMES for version in (0, 1, 2, 7)]),
        store.count(),
        store.count(filter=WIDE),
    )


@pytest.mark.parametrize(
    ("owner", "name"), [(milvus_lite.engine.flush, "write_data_file"), (milvus_lite.storage.segment.Segment, "load")]
)
def test_who_reads_while_rows_are_moved_to_a_file_waits_for_nothing_and_sees_all(store, hold, owner, name):
    fill(store)
    before = seen(store)
    held = hold(owner, name)
    with ThreadPoolExecutor(1) as pool:
        flushed = pool.submit(store.flush)
        held.wait()
        assert seen(store) == before
        store.ping()
        held.let()
        flushed.result()
    assert seen(store) == before
    put(store, NAMES[:1], 9)
    assert store.get([image_id(NAMES[0])])[image_id(NAMES[0])].width == 9


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (milvus_lite.engine.compaction, "write_data_file"),
        (milvus_lite.engine.compaction.CompactionManager, "_gc_tombstones"),
        (milvus_lite.storage.segment.Segment, "build_or_load_index"),
    ],
)
def test_who_reads_while_files_are_merged_and_indexed_waits_for_nothing_and_sees_all(store, hold, owner, name):
    fill(store)
    before = seen(store)
    engine(store)._wait_for_bg()
    held = hold(owner, name)
    store.flush()
    held.wait()
    assert seen(store) == before
    store.ping()
    put(store, NAMES[:3], 9)
    drop(store, NAMES[3:5])
    changed = seen(store)
    assert changed != before
    held.let()
    engine(store)._wait_for_bg()
    assert len(files(store)) == 1
    assert seen(store) == changed


def test_a_health_check_flushes_old_rows_once_no_files_are_merged(store, hold):
    """It would have waited for them, longer than it may take."""
    fill(store)
    engine(store)._wait_for_bg()
    held = hold(milvus_lite.engine.compaction, "write_data_file")
    store.flush()
    held.wait()
    put(store, NAMES[:3], 9)
    store.search(vector("photo-0", 0)[None], SearchOptions(1))
    store._opening.access._unflushed._since -= SLOW_AGE_S + 1
    store.ping()
    assert engine(store)._memtable.size() == 3
    held.let()
    engine(store)._wait_for_bg()
    store.ping()
    assert engine(store)._memtable.size() == 0


def test_merged_files_are_searched_by_the_index_of_the_new_one(store):
    fill(store)
    store.flush()
    engine(store)._wait_for_bg()
    [merged] = files(store)
    [part] = store._opening.access.rows._view(store._open_now().collection).parts()
    assert part.segment.file_path == merged
    assert part.segment.indexes


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_who_reads_when_a_flush_fails_sees_all_once_more(store, monkeypatch, caplog):
    """The engine itself has put an empty table in the place of the one that was not written."""

    def fail(*_args, **_options):
        raise OSError("disk full")

    fill(store)
    before, all_before = store.count(), seen(store)
    monkeypatch.setattr(milvus_lite.engine.flush, "write_data_file", fail)
    access = store._opening.access
    with access.reading(10):
        with pytest.raises(StoreUnavailable):
            store.flush()
        rows = access.rows
        assert rows.count(store._open_now().collection, None) == before
        rows._snapshots.merged(engine(store))
        assert rows.count(store._open_now().collection, None) == before
    monkeypatch.undo()
    store.ping()
    assert seen(store) == all_before
    caplog.clear()  # Milvus Lite leaves the log of such a flush open, which the logged traceback holds
    gc.collect()  # here, where it may warn


class Ledger:
    """For each name its versions in turn, None while it is deleted, with the times when each was begun and was done."""

    def __init__(self):
        self._states = {name: [(None, -np.inf, -np.inf)] for name in NAMES}

    @contextmanager
    def writing(self, names, version):
        began = perf_counter()
        for name in names:
            self._states[name] = [*self._states[name], (version, began, np.inf)]
        yield
        done = perf_counter()
        for name in names:
            self._states[name] = [*self._states[name][:-1], (version, began, done)]

    def possible(self, name, since, until):
        """The versions that who read from `since` to `until` may have seen."""
        states = self._states[name]
        ends = [done for _, _, done in states[1:]] + [np.inf]
        return {version for (version, began, _), end in zip(states, ends, strict=True) if began <= until and end >= since}

    def last(self):
        return {name: states[-1][0] for name, states in self._states.items() if states[-1][0] is not None}


def write_at_random(store, ledger, steps):
    chance = random.Random(3)
    for version in range(1, steps):
        names = chance.sample(NAMES, chance.randint(1, 6))
        if chance.random() < 0.3:
            with ledger.writing(names, None):
                drop(store, names)
        else:
            with ledger.writing(names, version):
                put(store, names, version)
        if chance.random() < 0.3:
            store.flush()


def found_by(options):
    def find(store, chance):
        name = chance.choice(NAMES)
        wanted = vector(name, chance.randint(1, 100))
        [hits] = store.search(wanted[None], options)
        for hit in hits:
            assert hit.score == pytest.approx(float(wanted @ vector(hit.record.key, hit.record.width)), abs=1e-5), "a torn row"
        return [(hit.record.key, hit.record.width) for hit in hits]

    return find


READS = {
    "index": (found_by(SearchOptions(40)), False),
    "exact": (found_by(SearchOptions(40, exact=True)), True),
    "filter": (found_by(SearchOptions(40, filter=parse({"width": {"gte": 1}}))), True),
    "get": (lambda store, _: [(one.key, one.width) for one in store.get([image_id(name) for name in NAMES]).values()], True),
    "scan": (lambda store, _: [(one.key, one.width) for page, _ in store.scan() for one in page], True),
}
"""Reads that give names with versions, and whether they give all that are stored."""


def read_at_random(store, ledger, kind, done):
    """Until it is done; returns what was seen that cannot have been."""
    read, complete = READS[kind]
    chance, wrong, times = random.Random(kind), [], 0
    while times < 20 or not done.is_set():
        times += 1
        since = perf_counter()
        rows = read(store, chance)
        until = perf_counter()
        versions = defaultdict(list)
        for name, version in rows:
            versions[name].append(version)
        for name in NAMES if complete else versions:
            found = versions.get(name, [None])
            if len(found) != 1 or found[0] not in ledger.possible(name, since, until):
                wrong.append((kind, name, found, ledger.possible(name, since, until)))
    return wrong


def test_nothing_is_lost_doubled_old_or_torn_while_rows_are_written_moved_and_merged(tmp_path):
    ledger, done = Ledger(), threading.Event()
    with opened(tmp_path / "vectors.db") as store, ThreadPoolExecutor(2 * len(READS)) as pool:
        readers = [pool.submit(read_at_random, store, ledger, kind, done) for kind in [*READS, *READS]]
        try:
            write_at_random(store, ledger, 200)
        finally:
            done.set()
        assert [reader.result() for reader in readers] == [[]] * len(readers)
        assert {one.key: one.width for page, _ in store.scan() for one in page} == ledger.last()
    with opened(tmp_path / "vectors.db") as store:
        assert {one.key: one.width for page, _ in store.scan() for one in page} == ledger.last()
        wait_until(lambda: all(segment.indexes for segment in engine(store)._read_snapshot()[0]))
