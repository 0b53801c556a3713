"""Changes that are looked at while a sync, or another process, writes what it has read before."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from ml_api.deadline import Deadline, held
from ml_api.embedding.fake import FakePreprocessor
from ml_api.indexing.changes import Backlog, Changes, Source
from ml_api.indexing.failures import StoredFailures
from ml_api.indexing.guard import Consent
from ml_api.indexing.jobs.runner import look_again
from ml_api.indexing.report import FileOutcome
from ml_api.indexing.sync import Indexer
from ml_api.indexing.uploads import Uploads
from ml_api.records import image_id
from ml_api.vectors.wrapper import StoreWrapper
from ml_api.vocabulary import ReasonCode, SyncOutcome
from tests.unit.indexing.changes.world import READING, end_job, start_job
from tests.unit.indexing.stand_ins import DECODER, RecordingEncoder
from tests.waiting import wait_until


def test_what_is_looked_at_while_a_sync_runs_is_looked_at_again_when_it_has_ended(world):
    """The sync reads the old file, the consumer indexes the new one, and then the sync writes what it had read."""
    world.draw("a.png")
    world.draw("deleted.png", (1, 2, 3))
    start_job(world)

    def meanwhile(_items):
        world.encoder.before = lambda _items: None
        world.draw("a.png", (9, 9, 200), size=(41, 30))
        (world.root / "deleted.png").unlink()
        world.note("a.png")
        world.note("deleted.png", source=Source.EVENT)
        world.consumer.run()

    world.encoder.before = meanwhile
    world.sync()
    assert set(world.stored()) == {"a.png", "deleted.png"}, "the sync did write last"
    assert world.changes.backlog() == Backlog(0, 0.0), "both were looked at"
    world.consumer.run()
    assert set(world.rows()) == {"a.png", "deleted.png"}, "not while it runs"

    end_job(world)
    world.consumer.run()

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
    world.consumer = world.new_consumer()
    start_job(world)
    uploads = Uploads(world.corpus, world.store, world.changes, DECODER, FakePreprocessor(), max_bytes=1_000_000)
    with ThreadPoolExecutor(2) as threads:
        sync = threads.submit(world.sync, superseded=world.changes.superseded)
        assert world.encoder.holds.wait(20)
        upload = uploads.put("replaced.png", world.draw("new", (7, 7, 200), kind="PNG").read_bytes(), None, Deadline.within(20))
        if indexed_before:
            uploads.remove(image_id("deleted.png"), Deadline.within(20))
        else:
            (world.root / "deleted.png").unlink()
        (world.root / "told.png").unlink()
        world.note("deleted.png", "told.png", source=Source.EVENT)
        threads.submit(world.consumer.run).result(20)
        assert uploads.is_removed("deleted.png", Deadline.within(0)), "who deletes is answered while the sync runs"
        assert set(world.stored()) == ({"replaced.png", "kept.png"} if indexed_before else {"replaced.png"})
        world.encoder.goes_on.set()
        assert sync.result(20).outcomes[SyncOutcome.FAILED] == 0

    stored = world.stored()
    assert set(stored) == {"replaced.png", "kept.png"}
    assert stored["replaced.png"].digest == upload.digest
    end_job(world)
    world.consumer.run()
    assert set(world.stored()) == {"replaced.png", "kept.png"}
    assert world.sync().outcomes == {SyncOutcome.UNCHANGED: 2}


def test_a_deletion_waits_for_the_write_of_a_sync_that_came_first(world):
    """Else the sync, which has seen no change, would write last."""
    world.draw("a.png")
    world.sync()
    world.draw("a.png", (1, 2, 3), size=(50, 30))
    writes, goes_on = threading.Event(), threading.Event()

    @contextmanager
    def superseded(keys):
        with world.changes.superseded(keys) as found:
            writes.set()
            assert goes_on.wait(20)
            yield found

    start_job(world)
    with ThreadPoolExecutor(2) as threads:
        sync = threads.submit(world.sync, superseded=superseded)
        assert writes.wait(20)
        (world.root / "a.png").unlink()
        world.note("a.png", source=Source.EVENT)
        looking = threads.submit(world.consumer.run)
        wait_until(lambda: world.rows()["a.png"].claimed_until, otherwise="it is not claimed")
        goes_on.set()
        sync.result(20)
        looking.result(20)

    assert world.stored() == {}


class OtherProcess(StoreWrapper):
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
    world.sync(store=store, superseded=changes.superseded)
    assert set(world.stored()) == {"deleted.png", "kept.png"}, "the sync did write last"

    if how_far == "being looked at":
        world.changes.settle(claimed)
    world.consumer.run()

    assert set(world.stored()) == {"kept.png"}, "while the sync runs"


def test_an_image_that_is_indexed_while_a_sync_of_another_process_removes_it_comes_back_at_once(world):
    world.draw("a.png")
    world.sync()
    put_back = world.take_away("a.png")

    def come_back():
        put_back()
        world.note("a.png", source=Source.EVENT)
        world.consumer.run()

    store, changes = OtherProcess(world.store, come_back), Changes(world.database, world.corpus.location)
    start_job(world)
    world.sync(store=store, superseded=changes.superseded, consent=Consent(empty=True))
    assert world.stored() == {}, "the sync did remove it last"

    world.consumer.run()

    assert set(world.stored()) == {"a.png"}, "while the sync runs"


@pytest.mark.parametrize("becomes", ["gone", "another"])
def test_of_two_processes_that_look_the_one_that_read_the_older_file_does_not_write_last(world, becomes):
    """Both looked at it at once: what was deleted came back for good, and what was replaced stayed the old one."""
    world.draw("a.png")
    world.note("a.png", source=Source.EVENT)
    world.encoder = AtLeisure()
    first, second = world.new_consumer(), world.new_consumer()
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
    def superseded(keys):
        put_back()
        world.note("a.png", source=Source.EVENT)
        world.consumer.run()
        with world.changes.superseded(keys) as found:
            yield found

    failures = StoredFailures(world.database, world.corpus.location, "these limits")
    indexer = Indexer(world.corpus, world.store, None, DECODER, world.metrics, failures=failures, superseded=superseded)
    indexer.run(indexer.plan(Consent(empty=True)))

    assert set(world.stored()) == {"a.png"}


@pytest.mark.parametrize("job", READING)
def test_what_is_looked_at_while_a_job_only_reads_the_index_is_not_looked_at_again(world, job):
    world.draw("a.png")
    world.note("a.png")
    start_job(world, READING[job])

    world.consumer.run()

    assert world.rows() == {}


def test_what_changed_while_a_sync_was_at_it_is_looked_at_and_no_other_failure(world):
    world.draw("a.png")
    for code in (ReasonCode.CHANGED_MEANWHILE, ReasonCode.INVALID_IMAGE):
        key = "a.png" if code is ReasonCode.CHANGED_MEANWHILE else "b.png"
        look_again(world.changes, FileOutcome(key, SyncOutcome.FAILED, code, "why"))
    assert set(world.rows()) == {"a.png"}
    world.consumer.run()
    assert set(world.stored()) == {"a.png"}
