"""Changes between syncs: what was said to have changed is looked at, and the index ends equal to the folder."""

import os
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import select, update

from ml_api.corpus.folder import FolderCorpus
from ml_api.database.tables import ChangeRow, JobRow
from ml_api.deadline import Deadline, held
from ml_api.embedding.fake import FakeEncoder, FakePreprocessor
from ml_api.errors import CorpusUnavailable, ModelUnavailable, NonFiniteVector, StoreUnavailable
from ml_api.images import ImageLimits, InlineDecoder
from ml_api.indexing.changes import Backlog, Changes, Drain, Source
from ml_api.indexing.changes.drain import CLAIMED
from ml_api.indexing.edits import patch_metadata
from ml_api.indexing.failures import StoredFailures
from ml_api.indexing.guard import Consent
from ml_api.indexing.jobs import Errand, SyncOptions
from ml_api.indexing.jobs.runner import look_again
from ml_api.indexing.report import FileOutcome
from ml_api.indexing.sync import Indexer
from ml_api.indexing.tasks import BATCH
from ml_api.indexing.uploads import Uploads
from ml_api.metrics import Metrics
from ml_api.records import image_id
from ml_api.vectors.memory import MemoryStore
from ml_api.vectors.passing import PassingStore
from ml_api.vocabulary import JobKind, ReasonCode, SyncOutcome
from tests.databases import new_database
from tests.waiting import wait_until

DECODER = InlineDecoder(ImageLimits(100_000, 1_000_000, 20))


class RecordingEncoder(FakeEncoder):
    """`before` is called with each batch, and may raise."""

    def __init__(self):
        super().__init__()
        self.batches = []
        self.before = lambda items: None

    def embed(self, items):
        self.batches.append(len(items))
        self.before(items)
        return super().embed(items)


class FlakyStore(MemoryStore):
    """`after_vectors` is called when somebody has read vectors, which are taken over."""

    down = False
    after_vectors = staticmethod(lambda: None)

    def vectors(self, ids, deadline=None):
        found = super().vectors(ids, deadline)
        self.after_vectors()
        return found

    def get(self, ids, deadline=None):
        if self.down:
            raise StoreUnavailable("the store is down")
        return super().get(ids, deadline)


class FlakyCorpus(FolderCorpus):
    def __init__(self, root):
        super().__init__(root)
        self.denied = set()

    def version(self, key):
        if key in self.denied:
            raise CorpusUnavailable("cannot be read: Permission denied")
        return super().version(key)


class World:
    """A folder, an index, and the keys that wait."""

    def __init__(self, tmp_path):
        self.root = tmp_path / "corpus"
        self.root.mkdir()
        self.database = new_database(tmp_path / "state.sqlite3")
        self.corpus = FlakyCorpus(self.root)
        self.encoder = RecordingEncoder()
        self.decoder = DECODER
        self.store = FlakyStore()
        self.store.ensure(self.encoder.model.model_id, self.encoder.model.dim)
        self.metrics = Metrics()
        self.drains = []
        self.changes = Changes(self.database, self.corpus.location)
        self.drain = self.new_drain()

    def new_drain(self):
        parts = {"preprocessor": FakePreprocessor(), "encoder": self.encoder, "decoder": DECODER, "metrics": self.metrics}
        parts["failures"] = StoredFailures(self.database, self.corpus.location, "these limits")
        drain = Drain(self.changes, self.corpus, self.store, **parts)
        self.drains.append(drain)
        return drain

    def draw(self, key, colour=(200, 30, 30), size=(40, 30), kind=None):
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, colour).save(path, kind)
        return path

    def take_away(self, key):
        """What puts the file back, as it was."""
        path = self.root / key
        status, data = path.stat(), path.read_bytes()
        path.unlink()

        def put_back():
            path.write_bytes(data)
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

        return put_back

    def note(self, *keys, source=Source.WATCH, facts=None, gone=()):
        return self.changes.note(keys, source, facts, gone=gone)

    def be_due(self):
        """As if the time until the next attempt were over."""
        with self.database.write() as session:
            session.execute(update(ChangeRow).values(not_before=0.0, claimed_until=0.0))

    def be_later(self, seconds):
        """As if the jobs had begun so much earlier."""
        with self.database.write() as session:
            session.execute(update(JobRow).values(started_at=JobRow.started_at - seconds))

    def indexer(self, store=None, **parts):
        parts["failures"] = StoredFailures(self.database, self.corpus.location, "these limits")
        model = FakePreprocessor(), self.encoder
        return Indexer(self.corpus, store or self.store, lambda: model, self.decoder, self.metrics, **parts)

    def sync(self, store=None, consent=Consent(), **parts):  # noqa: B008 - frozen
        indexer = self.indexer(store, **parts)
        return indexer.run(indexer.plan(consent))

    def rows(self):
        with self.database.read() as session:
            return {row.key: row for row in session.scalars(select(ChangeRow))}

    def stored(self):
        return {entry.key: entry for entry in self.store.entries()}

    def records(self):
        found = self.store.get([entry.id for entry in self.store.entries()])
        return {record.key: record for record in found.values()}

    def record(self, key):
        return self.store.get([image_id(key)])[image_id(key)]

    def outcomes(self):
        [counter] = self.metrics.changes.drained.collect()
        return {
            sample.labels["outcome"]: int(sample.value)
            for sample in counter.samples
            if sample.name.endswith("_total") and sample.value
        }


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    for drain in world.drains:
        drain.close()
    world.database.close()


def test_a_new_file_is_indexed_and_nothing_waits_any_more(world):
    world.draw("dogs/rex.png")
    world.note("dogs/rex.png")

    world.drain.run()

    assert set(world.stored()) == {"dogs/rex.png"}
    assert world.rows() == {}
    assert world.outcomes() == {"added": 1}


def test_what_it_stores_is_what_a_sync_would_have_stored(world):
    (world.root / "metadata.jsonl").write_text('{"key": "a.png", "caption": "red"}\n')
    world.draw("a.png")
    world.draw("b.png", (1, 2, 3))
    world.note("a.png", "b.png")
    world.drain.run()

    report = world.sync()

    assert report.summary() == "2 unchanged"
    assert world.encoder.batches == [2]
    assert world.store.get([image_id("a.png")])[image_id("a.png")].metadata == {"caption": "red"}


def test_a_changed_file_is_indexed_anew_and_keeps_its_metadata(world):
    world.draw("a.png")
    world.note("a.png", facts={"caption": "mine"})
    world.drain.run()
    before = world.stored()["a.png"]

    world.draw("a.png", (10, 200, 10))
    world.note("a.png")
    world.drain.run()

    after = world.store.get([image_id("a.png")])[image_id("a.png")]
    assert after.digest != before.digest
    assert after.metadata == {"caption": "mine"}
    assert world.outcomes() == {"added": 1, "replaced": 1}


def test_an_image_that_a_sync_removes_while_it_is_looked_at_is_indexed_again(world):
    """It ended the look with a KeyError, and all that was claimed waited for two minutes."""
    world.draw("a.png")
    world.note("a.png")
    world.drain.run()
    os.utime(world.root / "a.png", (1, 1))
    world.draw("b.png", (30, 30, 200))
    world.note("a.png", "b.png")
    known = world.store.vectors
    world.store.vectors = lambda ids, deadline=None: world.store.delete(ids) or known(ids, deadline)

    world.drain.run()

    world.store.vectors = known
    world.drain.run()
    assert world.stored().keys() == {"a.png", "b.png"}
    assert world.rows() == {}


def test_a_deleted_file_leaves_the_index(world):
    path = world.draw("a.png")
    world.sync()
    path.unlink()
    world.note("a.png", source=Source.EVENT)

    world.drain.run()

    assert world.stored() == {}
    assert world.outcomes() == {"removed": 1}


def test_any_number_of_deletions_is_what_somebody_asked_for(world):
    """The guard of syncs is about accidents: here each file was named."""
    keys = [f"{number}.png" for number in range(100)]
    for key in keys:
        world.draw(key)
    world.sync()
    for key in keys:
        (world.root / key).unlink()
    world.note(*keys, source=Source.EVENT)

    world.drain.run()

    assert world.stored() == {}


def test_notices_that_come_twice_or_too_late_change_nothing(world):
    world.draw("a.png")
    world.note("a.png", "gone.png", source=Source.EVENT)
    world.drain.run()
    world.note("a.png", "gone.png", source=Source.EVENT)

    world.drain.run()

    assert world.encoder.batches == [1]
    assert world.outcomes() == {"added": 1, "unchanged": 3}


def test_a_burst_is_embedded_in_full_batches(world):
    keys = [f"{number}.png" for number in range(10 * BATCH)]
    for number, key in enumerate(keys):
        world.draw(key, (number % 256, number // 256, 7))
    world.note(*keys)

    world.drain.run()

    assert world.encoder.batches == [BATCH] * 10
    assert len(world.stored()) == 10 * BATCH


def test_what_came_while_the_store_was_down_is_embedded_in_full_batches(world):
    world.store.down = True
    for number in range(3 * BATCH):
        world.draw(f"{number}.png", (number, 7, 7))
        world.note(f"{number}.png", source=Source.EVENT)
        if number % 20 == 0:
            world.new_drain().run()
    world.store.down = False

    world.new_drain().run()

    assert world.encoder.batches == [BATCH] * 3


def test_equal_files_go_through_the_model_once(world):
    world.draw("a.png")
    world.draw("b.png")
    world.note("a.png", "b.png")

    world.drain.run()

    assert world.encoder.batches == [1]
    assert set(world.stored()) == {"a.png", "b.png"}


def test_a_file_that_is_no_image_is_told_and_not_tried_again(world, caplog):
    (world.root / "bad.png").write_bytes(b"no image at all")
    world.note("bad.png", source=Source.EVENT)

    world.drain.run()

    assert world.rows() == {}
    assert world.outcomes() == {"failed": 1}
    assert "not indexed: bad.png: The file looks like text" in caplog.text

    world.note("bad.png", source=Source.EVENT)
    world.corpus.read = None  # it would be called
    world.drain.run()
    assert world.outcomes() == {"failed": 2}


def test_a_file_that_broke_loses_its_old_vector(world):
    world.draw("a.png")
    world.sync()
    (world.root / "a.png").write_bytes(b"broken")
    world.note("a.png", source=Source.EVENT)

    world.drain.run()

    assert world.stored() == {}


def test_one_image_without_a_finite_vector_costs_no_other_its_place(world):
    def refuse_dark_ones(items):
        if any(item.features.min() == item.features.mean() == 0 for item in items):
            raise NonFiniteVector

    world.encoder.before = refuse_dark_ones
    world.draw("dark.png", (0, 0, 0))
    world.draw("a.png", (250, 250, 250))
    world.note("dark.png", "a.png")

    world.drain.run()

    assert set(world.stored()) == {"a.png"}
    assert world.outcomes() == {"added": 1, "failed": 1}


@pytest.mark.parametrize("part", ["store", "model"])
def test_while_a_part_is_down_changes_wait_and_are_applied_after(world, part):
    def fail(_items):
        raise ModelUnavailable("no model")

    world.draw("a.png")
    world.note("a.png")
    world.store.down = part == "store"
    world.encoder.before = fail if part == "model" else world.encoder.before

    world.drain.run()

    [row] = world.rows().values()
    assert row.attempts == 1
    assert row.error
    assert world.changes.backlog().waiting == 1

    world.store.down, world.encoder.before = False, lambda _items: None
    world.drain.run()  # too early: it pauses
    assert world.stored() == {}
    world.new_drain().run()
    assert set(world.stored()) == {"a.png"}
    assert world.rows() == {}


def test_a_file_that_cannot_be_read_now_is_tried_later_and_delays_no_other(world):
    world.draw("a.png")
    world.draw("b.png", (1, 2, 3))
    world.corpus.denied = {"a.png"}
    world.note("a.png", "b.png")

    world.drain.run()

    assert set(world.stored()) == {"b.png"}
    assert world.rows()["a.png"].not_before > time.time()
    assert world.rows()["a.png"].error == "cannot be read: Permission denied"
    world.corpus.denied = set()
    world.changes.begin(alone=True)
    world.drain.run()
    assert set(world.stored()) == {"a.png", "b.png"}


def test_what_a_killed_process_had_claimed_is_looked_at_by_the_next(world):
    world.draw("a.png")
    world.note("a.png")
    world.changes.claim(10)  # and then it died

    world.drain.run()
    assert world.stored() == {}
    world.changes.begin(alone=True)  # as a process does when it starts
    world.drain.run()

    assert set(world.stored()) == {"a.png"}


def test_a_start_waits_for_no_other_program_that_writes_to_the_database(world, caplog):
    """It failed after 5 s; searches need no database."""
    world.draw("a.png")
    world.note("a.png")
    world.changes.claim(10)  # and then it died
    with closing(sqlite3.connect(world.database.location, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        world.changes.begin(alone=True)
        world.drain.run()
    assert "changes wait, and are tried again in 1 s" in caplog.text
    assert "another program keeps it locked" in caplog.text

    world.new_drain().run()

    assert set(world.stored()) == {"a.png"}


def test_a_notice_that_comes_while_its_key_is_looked_at_is_not_lost(world):
    """The file changes after it was read and before the look has ended."""
    world.draw("a.png")
    world.note("a.png")

    def change_it(_items):
        world.encoder.before = lambda _items: None
        world.draw("a.png", (9, 9, 200), size=(41, 30))
        world.note("a.png")

    world.encoder.before = change_it
    world.drain.run()

    assert len(world.encoder.batches) == 2
    assert world.sync().summary() == "1 unchanged"


def start_job(world, options=None, state="running"):
    row = JobRow(target="t", corpus=world.corpus.location, state=state, options=options or {}, requested_at=0.0)
    row.started_at = time.time()
    with world.database.write() as session:
        session.add(row)


def end_job(world):
    with world.database.write() as session:
        session.scalars(select(JobRow)).one().state = "succeeded"


def test_what_is_drained_while_a_sync_runs_is_looked_at_again_when_it_has_ended(world):
    """The sync reads the old file, the drain indexes the new one, and then the sync writes what it had read."""
    world.draw("a.png")
    world.draw("deleted.png", (1, 2, 3))
    start_job(world)

    def meanwhile(_items):
        world.encoder.before = lambda _items: None
        world.draw("a.png", (9, 9, 200), size=(41, 30))
        (world.root / "deleted.png").unlink()
        world.note("a.png")
        world.note("deleted.png", source=Source.EVENT)
        world.drain.run()

    world.encoder.before = meanwhile
    world.sync()
    assert set(world.stored()) == {"a.png", "deleted.png"}, "the sync did write last"
    assert world.changes.backlog() == Backlog(0, 0.0), "both were looked at"
    world.drain.run()
    assert set(world.rows()) == {"a.png", "deleted.png"}, "not while it runs"

    end_job(world)
    world.drain.run()

    assert set(world.stored()) == {"a.png"}
    assert world.rows() == {}
    assert world.sync().summary() == "1 unchanged"


class AtLeisure(RecordingEncoder):
    """Holds back the first batch, of whoever comes first, until it is told to go on."""

    def __init__(self):
        super().__init__()
        self.holds, self.goes_on = threading.Event(), threading.Event()
        self.before = self.hold

    def hold(self, _items):
        self.before = lambda _items: None
        self.holds.set()
        assert self.goes_on.wait(20)


@pytest.mark.parametrize("indexed_before", [True, False])
def test_nothing_that_is_deleted_or_replaced_while_a_sync_has_read_it_comes_back_by_that_sync(world, indexed_before):
    """Deletions and uploads go through at once, and the sync, which writes later, writes none of what they are about."""
    keys = ["deleted.png", "replaced.png", "told.png", "kept.png"]
    for number, key in enumerate(keys):
        world.draw(key, (number, 30, 30))
    if indexed_before:
        world.sync()
    for number, key in enumerate(keys):
        world.draw(key, (number, 90, 90), size=(50, 30))
    world.encoder = AtLeisure()
    world.drain = world.new_drain()
    start_job(world)
    uploads = Uploads(world.corpus, world.store, world.changes, DECODER, FakePreprocessor(), max_bytes=1_000_000)
    with ThreadPoolExecutor(2) as threads:
        sync = threads.submit(world.sync, followed=world.changes.followed)
        assert world.encoder.holds.wait(20)
        upload = uploads.put("replaced.png", world.draw("new", (7, 7, 200), kind="PNG").read_bytes(), None, Deadline.within(20))
        if indexed_before:
            uploads.remove(image_id("deleted.png"), Deadline.within(20))
        else:
            (world.root / "deleted.png").unlink()
        (world.root / "told.png").unlink()
        world.note("deleted.png", "told.png", source=Source.EVENT)
        threads.submit(world.drain.run).result(20)
        assert uploads.is_removed("deleted.png", Deadline.within(0)), "who deletes is answered while the sync runs"
        assert set(world.stored()) == ({"replaced.png", "kept.png"} if indexed_before else {"replaced.png"})
        world.encoder.goes_on.set()
        assert sync.result(20).outcomes[SyncOutcome.FAILED] == 0

    stored = world.stored()
    assert set(stored) == {"replaced.png", "kept.png"}
    assert stored["replaced.png"].digest == upload.digest
    end_job(world)
    world.drain.run()
    assert set(world.stored()) == {"replaced.png", "kept.png"}
    assert world.sync().outcomes == {SyncOutcome.UNCHANGED: 2}


def test_a_deletion_waits_for_the_write_of_a_sync_that_came_first(world):
    """Else the sync, which has seen no change, would write last."""
    world.draw("a.png")
    world.sync()
    world.draw("a.png", (1, 2, 3), size=(50, 30))
    writes, goes_on = threading.Event(), threading.Event()

    @contextmanager
    def followed(keys):
        with world.changes.followed(keys) as found:
            writes.set()
            assert goes_on.wait(20)
            yield found

    start_job(world)
    with ThreadPoolExecutor(2) as threads:
        sync = threads.submit(world.sync, followed=followed)
        assert writes.wait(20)
        (world.root / "a.png").unlink()
        world.note("a.png", source=Source.EVENT)
        drained = threads.submit(world.drain.run)
        wait_until(lambda: world.rows()["a.png"].claimed_until, otherwise="it is not claimed")
        goes_on.set()
        sync.result(20)
        drained.result(20)

    assert world.stored() == {}


class OtherProcess(PassingStore):
    """The store as another process has it, whose lock is its own. `before` is called with each write of that one."""

    def __init__(self, inner, before):
        super().__init__(inner)
        self._exclusive = threading.Lock()
        self._before = before

    def exclusive(self, deadline=None):
        return held(self._exclusive, deadline)

    def upsert(self, records, vectors):
        self._before()
        super().upsert(records, vectors)

    def delete(self, ids):
        self._before()
        super().delete(ids)


@pytest.mark.parametrize("how_far", ["looked at", "being looked at"])
def test_a_deletion_that_is_followed_while_a_sync_of_another_process_writes_does_not_come_back_by_it(world, how_far):
    """No lock is shared: the sync saw no look when it began to write, and wrote after it."""
    world.draw("deleted.png")
    world.draw("kept.png", (1, 2, 3))
    claimed = []

    def delete():
        (world.root / "deleted.png").unlink(missing_ok=True)
        world.note("deleted.png", source=Source.EVENT)
        claimed.extend(world.changes.claim(10))
        if how_far == "looked at":
            world.changes.settle(claimed)

    store, changes = OtherProcess(world.store, delete), Changes(world.database, world.corpus.location)
    start_job(world)
    world.sync(store=store, followed=changes.followed)
    assert set(world.stored()) == {"deleted.png", "kept.png"}, "the sync did write last"

    if how_far == "being looked at":
        world.changes.settle(claimed)
    world.drain.run()

    assert set(world.stored()) == {"kept.png"}, "while the sync runs"


def test_an_image_that_is_indexed_while_a_sync_of_another_process_removes_it_comes_back_at_once(world):
    world.draw("a.png")
    world.sync()
    put_back = world.take_away("a.png")

    def come_back():
        put_back()
        world.note("a.png", source=Source.EVENT)
        world.drain.run()

    store, changes = OtherProcess(world.store, come_back), Changes(world.database, world.corpus.location)
    start_job(world)
    world.sync(store=store, followed=changes.followed, consent=Consent(empty=True))
    assert world.stored() == {}, "the sync did remove it last"

    world.drain.run()

    assert set(world.stored()) == {"a.png"}, "while the sync runs"


@pytest.mark.parametrize("becomes", ["gone", "another"])
def test_of_two_processes_that_drain_the_one_that_read_the_older_file_does_not_write_last(world, becomes):
    """Both looked at it at once: what was deleted came back for good, and what was replaced stayed the old one."""
    world.draw("a.png")
    world.note("a.png", source=Source.EVENT)
    world.encoder = AtLeisure()
    first, second = world.new_drain(), world.new_drain()
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(first.run)
        assert world.encoder.holds.wait(20)
        (world.root / "a.png").unlink()
        if becomes == "another":
            world.draw("a.png", (9, 9, 200), size=(50, 30))
        world.note("a.png", source=Source.EVENT)
        second.run()
        assert world.stored() == {}, "it is the first one's to look at"
        world.encoder.goes_on.set()
        slow.result(20)
    second.run()

    assert world.rows() == {}
    assert {key: entry.width for key, entry in world.records().items()} == ({"a.png": 50} if becomes == "another" else {})


def test_an_image_that_comes_back_while_a_sync_runs_is_not_removed_by_it(world):
    """In a bucket it has the version that it had."""
    world.draw("a.png")
    world.sync()
    put_back = world.take_away("a.png")
    start_job(world)

    @contextmanager
    def followed(keys):
        put_back()
        world.note("a.png", source=Source.EVENT)
        world.drain.run()
        with world.changes.followed(keys) as found:
            yield found

    failures = StoredFailures(world.database, world.corpus.location, "these limits")
    indexer = Indexer(world.corpus, world.store, None, DECODER, world.metrics, failures=failures, followed=followed)
    indexer.run(indexer.plan(Consent(empty=True)))

    assert set(world.stored()) == {"a.png"}


def test_who_waits_hears_of_it(world):
    world.draw("a.png")
    world.note("a.png", source=Source.UPLOAD)
    assert not world.changes.wait("a.png", Deadline.within(0))

    world.drain.run()

    assert world.changes.wait("a.png", Deadline.within(0))


def test_who_waits_hears_of_it_while_a_sync_runs(world):
    world.draw("a.png")
    world.note("a.png", source=Source.UPLOAD)
    start_job(world)

    world.drain.run()

    assert world.changes.wait("a.png", Deadline.within(0))


def test_the_backlog_is_measured(world):
    world.draw("a.png")
    world.note("a.png")
    backlog = world.changes.backlog()
    assert backlog.waiting == 1
    assert abs(time.time() - backlog.oldest_at) < 60
    world.note("a.png")
    assert world.changes.backlog().oldest_at == backlog.oldest_at, "the oldest notice counts"
    world.drain.run()
    assert world.metrics.registry.get_sample_value("ml_api_changes_waiting") == 0


def test_uploads_come_first(world):
    for key in ("event.png", "upload.png"):
        world.draw(key)
    world.note("event.png", source=Source.EVENT)
    world.note("upload.png", source=Source.UPLOAD)

    assert [change.key for change in world.changes.claim(10)] == ["upload.png", "event.png"]


def test_names_that_no_database_holds_are_left_out(world):
    assert world.note("a\0b.png", os.fsdecode(b"\xff.png"), "a.png") == 1
    assert world.rows().keys() == {"a.png"}


def test_an_announced_key_is_looked_at_though_nobody_says_more(world):
    """The process died between the write and the notice."""
    dies = world.changes.around("a.png")
    dies.__enter__()
    world.draw("a.png")
    world.drain.run()
    assert world.stored() == {}
    world.changes.begin(alone=True)

    world.drain.run()

    assert set(world.stored()) == {"a.png"}


def test_a_watched_file_that_is_no_image_may_be_half_written_and_is_looked_at_again_before_it_is_broken(world):
    world.draw("a.png")
    world.sync()
    whole = world.draw("a.png", (1, 2, 3)).read_bytes()
    (world.root / "a.png").write_bytes(whole[:60])
    for _ in range(2):
        world.note("a.png") if not world.rows() else world.be_due()
        world.drain.run()
        assert set(world.stored()) == {"a.png"}  # as it was: its writer may only pause
        assert "half-written" in world.rows()["a.png"].error
    world.be_due()
    world.drain.run()
    assert world.stored() == {}
    assert world.outcomes() == {"retried": 2, "failed": 1}


def test_a_file_that_has_moved_keeps_its_vector_and_what_was_edited(world):
    world.draw("old.png")
    world.sync()
    patch_metadata(world.store, image_id("old.png"), {"tag": "mine"}, Deadline.within(1))
    world.encoder.batches.clear()
    (world.root / "new.png").hardlink_to(world.root / "old.png")
    (world.root / "old.png").unlink()

    world.note("new.png", gone=["old.png"])
    world.drain.run()
    world.be_due()
    world.drain.run()

    assert world.encoder.batches == []
    assert set(world.stored()) == {"new.png"}
    assert world.store.get([image_id("new.png")])[image_id("new.png")].metadata == {"tag": "mine"}
    assert world.outcomes() == {"moved": 1, "unchanged": 1}


@pytest.mark.parametrize("first", ["new", "old"])
def test_a_move_keeps_what_was_edited_however_many_other_files_come_with_it_and_before(world, first):
    """Its two keys are not looked at together then."""
    old, new = ("old.png", "zzz.png") if first == "old" else ("zzz.png", "old.png")
    world.draw(old)
    world.sync()
    patch_metadata(world.store, image_id(old), {"tag": "mine"}, Deadline.within(1))
    world.encoder.batches.clear()
    others = [f"p{number:03}.png" for number in range(2 * CLAIMED)]
    for number, key in enumerate(others):
        world.draw(key, (number, 7, 7))
    (world.root / old).rename(world.root / new)
    world.note(*others, new, gone=[old])
    world.be_due()

    world.store.down = True  # what was claimed first is put back, behind all others
    world.drain.run()
    world.store.down = False
    world.new_drain().run()
    world.be_due()
    world.new_drain().run()

    assert sum(world.encoder.batches) == len(others)
    assert set(world.stored()) == {new, *others}
    assert world.record(new).metadata == {"tag": "mine"}
    assert world.rows() == {}


def test_a_move_of_which_the_end_is_told_a_little_later_keeps_what_was_edited(world):
    world.draw("old.png")
    world.sync()
    patch_metadata(world.store, image_id("old.png"), {"tag": "mine"}, Deadline.within(1))
    (world.root / "old.png").rename(world.root / "new.png")

    world.note(gone=["old.png"])
    world.drain.run()
    world.note("new.png")
    world.be_due()
    world.drain.run()

    assert set(world.stored()) == {"new.png"}
    assert world.record("new.png").metadata == {"tag": "mine"}


@pytest.mark.parametrize("killed", [True, False], ids=["killed in between", "both at work"])
def test_a_move_of_which_the_beginning_is_told_later_keeps_what_was_edited(world, killed):
    """The new file was indexed as any other, and what was edited went with the old one."""
    world.draw("old.png")
    world.sync()
    patch_metadata(world.store, image_id("old.png"), {"tag": "mine"}, Deadline.within(1))
    world.encoder.batches.clear()
    (world.root / "old.png").rename(world.root / "new.png")

    world.note("new.png")
    if killed:
        world.changes.begin(alone=True)
    world.new_drain().run()
    world.note(gone=["old.png"])
    world.be_due()
    world.new_drain().run()

    assert world.encoder.batches == []
    assert set(world.stored()) == {"new.png"}
    assert world.record("new.png").metadata == {"tag": "mine"}


@pytest.mark.parametrize("by", ["drain", "sync"])
def test_what_is_edited_until_a_move_is_written_moves_with_it(world, by):
    """The move wrote what it had read of the old image before."""
    world.draw("old.png")
    world.sync()
    patch_metadata(world.store, image_id("old.png"), {"tag": "old", "other": 1}, Deadline.within(1))
    (world.root / "old.png").rename(world.root / "new.png")

    def edit():
        world.store.after_vectors = lambda: None
        patch_metadata(world.store, image_id("old.png"), {"tag": "mine"}, Deadline.within(1))

    world.store.after_vectors = edit
    if by == "drain":
        world.note("new.png")
        world.drain.run()
    else:
        world.sync()

    assert world.record("new.png").metadata == {"tag": "mine", "other": 1}


def test_of_equal_images_that_move_in_a_sync_each_keeps_what_was_edited(world):
    for old in ("a.png", "b.png"):
        world.draw(old)
    world.sync()
    for old in ("a.png", "b.png"):
        patch_metadata(world.store, image_id(old), {"tag": old}, Deadline.within(1))
        (world.root / old).rename(world.root / f"new-{old}")

    report = world.sync()

    assert report.outcomes[SyncOutcome.MOVED] == 2
    assert {record.metadata["tag"] for record in world.records().values()} == {"a.png", "b.png"}


def test_a_copy_has_nothing_of_what_was_edited(world):
    world.draw("old.png")
    world.sync()
    patch_metadata(world.store, image_id("old.png"), {"tag": "mine"}, Deadline.within(1))
    world.draw("new.png")

    world.note("new.png")
    world.drain.run()

    assert world.record("new.png").metadata == {}


def edited(world, *keys):
    """Equal images that are indexed, each with a tag that was set over the API: its own name."""
    for number, key in enumerate(keys):
        os.utime(world.draw(key), ns=(number, number))
    world.sync()
    for key in keys:
        patch_metadata(world.store, image_id(key), {"tag": key}, Deadline.within(1))


def tags(world):
    return {key: record.metadata.get("tag") for key, record in world.records().items()}


@pytest.mark.parametrize("by", ["drain", "sync"])
@pytest.mark.parametrize("copy", ["copy.png", "z-copy.png"])
def test_of_a_file_that_moved_and_its_copy_the_moved_one_has_what_was_edited(world, by, copy):
    """Both had it, of those that were watched; in a sync the one whose name comes first."""
    edited(world, "old.png")
    (world.root / "old.png").rename(world.root / "moved.png")
    world.draw(copy)

    if by == "drain":
        world.note(copy, "moved.png", gone=["old.png"])
        world.drain.run()
    else:
        world.sync()

    assert tags(world) == {"moved.png": "old.png", copy: None}


def test_a_copy_that_comes_after_a_move_has_nothing_of_what_was_edited(world):
    """The file before was still indexed, as a second passes until it is looked at."""
    edited(world, "old.png")
    (world.root / "old.png").rename(world.root / "moved.png")
    world.note("moved.png", gone=["old.png"])
    world.drain.run()

    world.draw("copy.png")
    world.note("copy.png")
    world.drain.run()

    assert tags(world) == {"moved.png": "old.png", "copy.png": None}


@pytest.mark.parametrize("by", ["drain", "sync"])
def test_of_equal_files_that_move_at_once_each_keeps_what_was_edited(world, by):
    """All had what was edited of one, if they were watched."""
    keys = ["a.png", "b.png", "c.png"]
    edited(world, *keys)
    new = {"a.png": "z.png", "b.png": "y.png", "c.png": "x.png"}
    for key in keys:
        (world.root / key).rename(world.root / new[key])

    if by == "drain":
        world.note(*new.values(), gone=keys)
        world.drain.run()
    else:
        world.sync()

    assert tags(world) == {new[key]: key for key in keys}


@pytest.mark.parametrize("by", ["drain", "sync"])
def test_without_their_times_equal_files_that_move_keep_what_was_edited_under_their_names(world, by):
    """As `cp -r` and a deletion move them."""
    edited(world, "a.png", "b.png", "c.png")
    world.draw("plain.png")
    world.sync()
    for key in ("a.png", "b.png", "c.png", "plain.png"):
        (world.root / key).unlink()
    new = ["1.png", "2/c.png", "3/b.png"]  # one of the three that were edited has another name
    for key in new:
        world.draw(key)

    if by == "drain":
        world.note(*new, gone=["a.png", "b.png", "c.png", "plain.png"])
        world.drain.run()
    else:
        world.sync(consent=Consent(removals=True))

    assert tags(world).items() >= {"1.png": "a.png", "2/c.png": "c.png", "3/b.png": "b.png"}.items()


@pytest.mark.parametrize("by", ["drain", "sync"])
def test_a_file_that_moves_over_another_takes_along_what_was_edited(world, by):
    edited(world, "old.png")
    world.draw("new.png", (1, 2, 3))
    world.sync()
    (world.root / "old.png").rename(world.root / "new.png")

    if by == "drain":
        world.note("new.png", gone=["old.png"])
        world.drain.run()
    else:
        assert world.sync().summary() == "1 replaced, 1 removed"

    assert tags(world) == {"new.png": "old.png"}


def test_a_file_that_moves_there_and_back_keeps_what_was_edited(world):
    edited(world, "old.png")
    for old, new in (("old.png", "new.png"), ("new.png", "old.png")):
        (world.root / old).rename(world.root / new)
        world.note(new, gone=[old])
        world.drain.run()
    world.be_due()
    world.drain.run()

    assert tags(world) == {"old.png": "old.png"}


def test_a_copy_of_what_a_sync_has_moved_has_nothing_of_what_was_edited(world):
    """The file before was indexed until the end of the sync, hours later in a large one."""
    edited(world, "old.png")
    (world.root / "old.png").rename(world.root / "moved.png")
    start_job(world)

    def meanwhile():
        if "moved.png" in world.stored() and "copy.png" not in world.stored():
            world.draw("copy.png")
            world.note("copy.png")
            world.drain.run()
        return False

    indexer = world.indexer()
    indexer.run(indexer.plan(), stop=meanwhile)

    assert tags(world) == {"moved.png": "old.png", "copy.png": None}


def test_a_copy_that_a_sync_has_read_before_its_original_moved_takes_the_vector_of_that(world):
    edited(world, "old.png")
    world.draw("copy.png")
    world.encoder.batches.clear()
    indexer = world.indexer()
    plan = indexer.plan()
    (world.root / "old.png").rename(world.root / "moved.png")
    world.note("moved.png", gone=["old.png"])
    world.drain.run()

    report = indexer.run(plan)

    assert report.summary() == "1 unchanged, 1 duplicate"
    assert world.encoder.batches == []
    assert tags(world) == {"moved.png": "old.png", "copy.png": None}


def test_a_copy_has_the_vector_of_its_bytes_though_its_original_was_replaced_since_it_was_read(world):
    """It had that of the new original."""
    world.draw("original.png")
    world.sync()
    world.draw("copy.png")
    indexer = world.indexer()
    plan = indexer.plan()
    world.draw("original.png", (1, 2, 3))
    world.note("original.png")
    world.drain.run()

    indexer.run(plan)
    world.sync()

    first, second = (world.store.vectors([image_id(key)])[image_id(key)] for key in ("original.png", "copy.png"))
    assert not np.array_equal(first, second)


def test_a_sync_that_listed_neither_end_of_a_move_leaves_what_was_edited_to_the_look_at_it(world):
    """The file was gone when its folder was listed, and in no other yet. The sync removed it before anybody looked there."""
    edited(world, "old.png")
    put_back = world.take_away("old.png")
    start_job(world)
    world.be_later(2.0)
    indexer = world.indexer(followed=world.changes.followed)
    plan = indexer.plan(Consent(empty=True))
    put_back()
    (world.root / "old.png").rename(world.root / "new.png")
    world.note("new.png", gone=["old.png"])

    indexer.run(plan)
    end_job(world)
    world.drain.run()
    world.be_due()
    world.drain.run()

    assert tags(world) == {"new.png": "old.png"}
    assert world.rows() == {}


@pytest.mark.parametrize("alone", [True, False])
def test_what_is_gone_waits_at_a_start_for_the_sync_with_which_a_watcher_begins(world, alone):
    """Also where several processes have the database: there it was removed before that sync was asked for."""
    world.draw("old.png")
    world.sync()
    (world.root / "old.png").unlink()
    world.note(gone=["old.png"])
    world.be_due()

    world.changes.begin(alone=alone)
    world.drain.run()

    assert set(world.stored()) == {"old.png"}


def test_a_file_that_was_there_when_it_was_noted_and_has_moved_before_it_is_looked_at_keeps_what_was_edited(world):
    """kill -9 left its notice, and it moved while nothing ran: it was removed at once, and found elsewhere without its tag."""
    world.draw("old.png")
    world.sync()
    patch_metadata(world.store, image_id("old.png"), {"tag": "mine"}, Deadline.within(1))
    world.note("old.png")
    (world.root / "old.png").rename(world.root / "new.png")

    world.changes.begin(alone=True)
    world.drain.run()
    assert set(world.stored()) == {"old.png"}
    world.note("new.png")
    world.drain.run()
    world.be_due()
    world.drain.run()

    assert set(world.stored()) == {"new.png"}
    assert world.record("new.png").metadata == {"tag": "mine"}
    assert world.rows() == {}


@pytest.mark.parametrize("began_s", [0.0, 2.0], ids=["after it", "before it"])
def test_what_has_gone_since_it_was_noted_stays_until_a_sync_that_runs_has_ended(world, began_s):
    world.draw("old.png")
    world.sync()
    world.note("old.png")
    (world.root / "old.png").unlink()
    if began_s:
        start_job(world)
        world.be_later(began_s)
    world.drain.run()
    if not began_s:
        start_job(world)
    world.be_due()
    world.drain.run()
    assert set(world.stored()) == {"old.png"}

    end_job(world)
    world.drain.run()

    assert world.stored() == {}
    assert world.rows() == {}


@pytest.mark.parametrize("state", ["queued", "running"])
def test_what_is_gone_stays_for_a_sync_that_may_find_it_at_another_place(world, state):
    """kill -9 left it waiting, and the watcher begins with a sync: the vector was gone when the sync wanted to move it."""
    world.draw("old.png")
    world.sync()
    (world.root / "old.png").unlink()
    world.note(gone=["old.png"])
    world.changes.begin(alone=True)
    world.drain.run()
    assert set(world.stored()) == {"old.png"}  # as that sync may not even be wanted yet

    world.be_due()
    start_job(world, state=state)
    world.drain.run()
    assert set(world.stored()) == {"old.png"}
    assert world.changes.backlog() == Backlog(0, 0.0), "a sync of hours is no reason for an alert"
    end_job(world)
    assert world.changes.backlog().waiting == 1
    world.drain.run()
    assert world.stored() == {}


ERRANDS = [JobKind.EXPORT, JobKind.EVALUATE, JobKind.DROP_OLD, JobKind.IMPORT, JobKind.MIGRATE, JobKind.ROLL_BACK]
OTHERS = {kind.value: asdict(SyncOptions(errand=Errand(kind))) for kind in ERRANDS}
READING = {kind: options for kind, options in OTHERS.items() if kind in {JobKind.EXPORT, JobKind.EVALUATE, JobKind.DROP_OLD}}
READING["dry-run"] = {"dry_run": True}


@pytest.mark.parametrize("job", [*OTHERS, "dry-run", "a sync that began before"])
def test_what_is_gone_waits_for_no_job_that_cannot_find_it_elsewhere(world, job):
    """A first sync takes hours, and so may an export: what somebody has deleted is not found for so long."""
    world.draw("old.png")
    world.sync()
    start_job(world, (OTHERS | READING).get(job))
    world.be_later(2.0)
    (world.root / "old.png").unlink()
    world.note(gone=["old.png"])
    world.be_due()

    world.drain.run()

    assert world.stored() == {}


@pytest.mark.parametrize("job", READING)
def test_what_is_drained_while_a_job_only_reads_the_index_is_not_looked_at_again(world, job):
    world.draw("a.png")
    world.note("a.png")
    start_job(world, READING[job])

    world.drain.run()

    assert world.rows() == {}


def test_what_changed_while_a_sync_was_at_it_is_looked_at_and_no_other_failure(world):
    world.draw("a.png")
    for code in (ReasonCode.CHANGED_MEANWHILE, ReasonCode.INVALID_IMAGE):
        key = "a.png" if code is ReasonCode.CHANGED_MEANWHILE else "b.png"
        look_again(world.changes, FileOutcome(key, SyncOutcome.FAILED, code, "why"))
    assert set(world.rows()) == {"a.png"}
    world.drain.run()
    assert set(world.stored()) == {"a.png"}


def test_a_file_that_is_gone_does_not_wait_for_one_that_cannot_be_read(world):
    world.draw("old.png")
    world.sync()
    world.draw("denied.png", (1, 2, 3))
    (world.root / "old.png").unlink()
    world.corpus.denied = {"denied.png"}
    world.note("denied.png", gone=["old.png"])
    world.drain.run()
    assert set(world.stored()) == {"old.png"}
    with world.database.write() as session:
        session.execute(update(ChangeRow).where(ChangeRow.source == "gone").values(not_before=0.0))

    world.drain.run()

    assert world.stored() == {}
    assert set(world.rows()) == {"denied.png"}


def test_what_was_noted_before_the_clock_was_set_back_does_not_wait_until_it_is_as_late_again(world):
    world.draw("a.png")
    world.note("a.png")
    with world.database.write() as session:
        session.execute(update(ChangeRow).values(not_before=time.time() + 3600, received_at=time.time() + 3600))

    world.drain.run()

    assert set(world.stored()) == {"a.png"}


def test_files_of_a_disk_that_is_not_mounted_stay_indexed(world):
    for number in range(3):
        world.draw(f"{number}.png", (number, 0, 0))
    world.sync()
    world.note(*world.stored())
    world.root.rename(world.root.with_name("unmounted"))
    world.root.mkdir()

    world.drain.run()

    assert len(world.stored()) == 3
    assert "is its disk mounted" in world.rows()["0.png"].error


def test_a_sidecar_counts_more_than_the_catalogue_and_less_than_what_came_with_an_upload(world):
    (world.root / "metadata.jsonl").write_text('{"key": "a.png", "caption": "told", "price": 3, "tag": "told"}\n')
    world.draw("a.png")
    (world.root / "a.json").write_text('{"caption": "beside", "tag": "beside", "sizes": [1, 2]}')
    world.sync()
    said = {"caption": "beside", "price": 3, "tag": "beside", "sizes": [1, 2]}
    assert world.record("a.png").metadata == said
    world.note("a.png", source=Source.UPLOAD, facts={"tag": "uploaded"})
    world.drain.run()
    assert world.record("a.png").metadata == said | {"tag": "uploaded"}
    assert world.sync().outcomes.keys() == {"unchanged"}


@pytest.mark.parametrize("by", ["sync", "notice"])
def test_a_changed_sidecar_changes_the_metadata_and_embeds_nothing(world, by):
    world.draw("a.png")
    world.sync()
    world.encoder.batches.clear()
    for text, expected in (('{"caption": "Rex"}', {"caption": "Rex"}), ('{"caption": "Max"}\n', {"caption": "Max"}), (None, {})):
        (world.root / "a.json").unlink(missing_ok=True)
        if text is not None:
            (world.root / "a.json").write_text(text)
        if by == "sync":
            world.sync()
        else:
            world.note("a.png")
            world.drain.run()
        assert world.record("a.png").metadata == expected
        assert world.sync().outcomes.keys() == {"unchanged"}
    assert world.encoder.batches == []


def test_a_notice_of_a_sidecar_changes_the_metadata_of_its_images_and_embeds_nothing(world):
    """As buckets send it, which say nothing of the image then."""
    world.draw("dogs/a.png")
    world.draw("dogs/a.b.png", (1, 2, 3))
    world.sync()
    world.encoder.batches.clear()
    sidecar = world.root / "dogs" / "a.json"
    for text, expected in (('{"caption": "Rex"}', {"caption": "Rex"}), ('{"caption": "Max"}\n', {"caption": "Max"}), (None, {})):
        sidecar.unlink() if text is None else sidecar.write_text(text)
        world.note("dogs/a.json", "dogs/none.json", source=Source.EVENT)
        world.drain.run()
        assert world.record("dogs/a.png").metadata == expected
        assert world.record("dogs/a.b.png").metadata == {}
        assert world.rows() == {}
    assert world.encoder.batches == []


@pytest.mark.parametrize(
    ("sidecar", "reason"),
    [
        (b"[1]", "not an object"),
        (b'{"a": 1,\n}', "not valid JSON, from line 2, column 1 on"),
        (b"\xff{}", "not UTF-8"),
        (b"[" * 60_000, "nested too deeply"),
        (b'{"a": NaN}', "not plain JSON"),
        (b'{"a": "' + b"x" * 70_000 + b'"}', "more than 65,536 bytes"),
    ],
    ids=["list", "syntax", "utf-8", "depth", "nan", "size"],
)
def test_a_bad_sidecar_is_named_with_its_reason_and_its_image_and_all_others_are_taken(world, caplog, sidecar, reason):
    world.draw("dogs/a.png")
    world.draw("dogs/b.png", (1, 2, 3))
    (world.root / "dogs" / "a.json").write_bytes(sidecar)
    (world.root / "dogs" / "b.json").write_text('{"caption": "Max"}')
    world.sync()
    assert set(world.stored()) == {"dogs/a.png", "dogs/b.png"}
    assert world.record("dogs/b.png").metadata == {"caption": "Max"}
    [record] = [record for record in caplog.records if "left out" in record.getMessage()]
    assert record.getMessage().startswith("dogs/a.json is left out")
    assert reason in record.getMessage()


def test_what_the_camera_noted_counts_less_than_what_people_say_and_stays_when_that_changes(world):
    exif = Image.Exif()
    exif[0x0110], exif[0x0132] = "X100", "2026:11:26 09:30:15"
    Image.new("RGB", (40, 30)).save(world.root / "a.jpg", exif=exif)
    world.decoder = InlineDecoder(DECODER.limits, exif=True)
    (world.root / "metadata.jsonl").write_text('{"key": "a.jpg", "exif_camera": "my camera"}')
    world.sync()
    assert world.record("a.jpg").metadata == {"exif_taken_at": "2026-11-26T09:30:15", "exif_camera": "my camera"}
    assert world.sync().outcomes.keys() == {"unchanged"}
    (world.root / "metadata.jsonl").write_text('{"key": "a.jpg", "tag": 1}')
    world.encoder.batches.clear()
    world.sync()
    assert world.record("a.jpg").metadata == {"exif_taken_at": "2026-11-26T09:30:15", "exif_camera": "X100", "tag": 1}
    assert world.encoder.batches == []
