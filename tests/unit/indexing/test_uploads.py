"""Uploads while the parts that they stand between do not answer; what they do otherwise is tested through the API."""

import hashlib
import io
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from threading import Event

import pytest
from PIL import Image

from ml_api.corpus.folder import FolderCorpus
from ml_api.deadline import Deadline, held
from ml_api.embedding.fake import FakePreprocessor
from ml_api.errors import CorpusUnavailable, DeadlineExceeded, PreconditionFailed
from ml_api.images import ImageLimits, InlineDecoder
from ml_api.indexing.changes import Changes
from ml_api.indexing.edits import patch_metadata
from ml_api.indexing.preconditions import ANY, Precondition
from ml_api.indexing.upload_locks import UploadLocks
from ml_api.indexing.uploads import Uploads
from ml_api.records import image_id
from ml_api.vectors.memory import MemoryStore
from ml_api.vocabulary import UploadState
from tests.contracts.samples import DIM, record, unit_vectors
from tests.databases import new_database
from tests.waiting import wait_until


class HungStore(MemoryStore):
    """Does not answer until the caller gives up."""

    asked = 0

    def get(self, ids, deadline=None):
        self.asked += 1
        Event().wait(deadline.left_s())
        raise deadline.exceeded()


def done_or_blocked(future):
    """Wait until what was begun in another thread has ended, or a thread waits for a lock."""
    lock = held.__wrapped__.__code__
    wait_until(lambda: future.done() or any(frame.f_code is lock for frame in sys._current_frames().values()))


def picture(number):
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (number, 0, 0)).save(file, "PNG")
    return file.getvalue()


@contextmanager
def standing(tmp_path, store, patience_s, kind=Changes, corpus_kind=FolderCorpus, **more):
    """Uploads into an empty folder, and the changes that they note."""
    (tmp_path / "corpus").mkdir()
    corpus, decoder = corpus_kind(tmp_path / "corpus"), InlineDecoder(ImageLimits(100_000, 1_000_000, 20))
    with closing(new_database(tmp_path / "state.sqlite3")) as database:
        changes = kind(database, corpus.location)
        yield (
            Uploads(corpus, store, changes, decoder, FakePreprocessor(), max_bytes=100_000, patience_s=patience_s, **more),
            changes,
        )


def test_a_store_that_hangs_keeps_no_upload_out_and_is_asked_seldom(tmp_path):
    store = HungStore()
    with standing(tmp_path, store, 0.05) as (uploads, changes):
        for number in range(5):
            upload = uploads.put(f"{number}.png", picture(number), None, Deadline.within(30))
            assert uploads.state(upload, Deadline.within(0.01)) is UploadState.QUEUED
        assert changes.backlog().waiting == 5
    assert len(list((tmp_path / "corpus").iterdir())) == 5
    assert store.asked <= 2


def test_a_request_that_had_no_time_left_keeps_no_other_from_the_store(tmp_path):
    class SlowOnce(HungStore):
        def get(self, ids, deadline=None):
            if not self.asked:
                return super().get(ids, deadline)
            self.asked += 1
            return {}

    store = SlowOnce()
    with standing(tmp_path, store, 5.0) as (uploads, _):
        uploads.put("late.png", picture(1), None, Deadline.within(0.2))
        assert store.asked == 1
        uploads.put("other.png", picture(2), None, Deadline.within(30))
        assert store.asked == 2


def test_of_many_who_wait_for_the_index_some_are_told_at_once_that_it_will_follow(tmp_path):
    """Each holds a thread: with 32 of them, a search took 25 s."""

    class Heard(Changes):
        waits = Event()

        def wait(self, key, deadline):
            self.waits.set()
            return super().wait(key, deadline)

    with standing(tmp_path, MemoryStore(), 5.0, Heard, locks=UploadLocks(1)) as (uploads, changes), ThreadPoolExecutor(1) as pool:
        first, second = (uploads.put(f"{number}.png", picture(number), None, Deadline.within(30)) for number in range(2))
        waiting = pool.submit(uploads.is_removed, first.key, Deadline.within(60))
        assert changes.waits.wait(30)
        assert uploads.state(second, Deadline.within(60)) is UploadState.QUEUED
        assert not waiting.done()
        changes.settle(changes.claim(2))
        assert waiting.result(30)
        assert uploads.is_removed(second.key, Deadline.within(60))


def test_an_upload_that_is_indexed_while_its_deletion_looks_for_it_is_deleted(tmp_path):
    """The index did not have it yet, and what waits not any more: it was answered 404, and stayed."""

    class FilledMeanwhile(MemoryStore):
        asked = 0

        def get(self, ids, deadline=None):
            self.asked += 1
            return super().get(ids, deadline) if self.asked > 1 else {}

    store = FilledMeanwhile()
    with standing(tmp_path, store, 1) as (uploads, _):
        store.ensure("model@1", DIM)
        (tmp_path / "corpus" / "new.png").write_bytes(picture(1))
        store.upsert([record("new.png")], unit_vectors(1))
        assert uploads.remove(image_id("new.png"), Deadline.within(30)) == "new.png"
    assert list((tmp_path / "corpus").iterdir()) == []


def imported(store):
    """An image whose vector was imported; the corpus has no file of its name."""
    store.ensure("model@1", DIM)
    store.upsert([record("imported")], unit_vectors(1))
    return image_id("imported")


def test_an_imported_image_that_is_edited_while_it_is_deleted_does_not_come_back(tmp_path):
    class DeletedMeanwhile(MemoryStore):
        begin = None

        def upsert(self, records, vectors):
            if self.begin is not None:
                done_or_blocked(self.begin())
            super().upsert(records, vectors)

    store = DeletedMeanwhile()
    image = imported(store)
    with standing(tmp_path, store, 1) as (uploads, _), ThreadPoolExecutor(1) as threads:
        deleted = []
        store.begin = lambda: deleted.append(threads.submit(uploads.remove, image, Deadline.within(30))) or deleted[0]
        patch_metadata(store, image, {"seen": "by hand"}, Deadline.within(30))
        assert deleted[0].result(30) == "imported"
    assert store.get([image]) == {}


def test_the_deletion_of_an_imported_image_waits_for_others_no_longer_than_its_request(tmp_path):
    store = MemoryStore()
    image = imported(store)
    with standing(tmp_path, store, 1) as (uploads, _), store.exclusive(), pytest.raises(DeadlineExceeded):
        uploads.remove(image, Deadline.within(0.05))


class Overtaken(Changes):
    """Just before the first upload is noted, `meanwhile` begins, and may end or not."""

    meanwhile = None

    def note(self, keys, source, facts=None, *, gone=()):
        begin, self.meanwhile = self.meanwhile, None
        if begin is not None:
            done_or_blocked(begin())
        return super().note(keys, source, facts, gone=gone)


def test_of_two_uploads_under_one_key_image_and_metadata_are_of_the_same(tmp_path):
    """The one that wrote first noted last: the image of the other had its metadata."""
    with standing(tmp_path, MemoryStore(), 0.05, kind=Overtaken) as (uploads, changes), ThreadPoolExecutor(2) as threads:

        def put(number):
            return threads.submit(uploads.put, "a.png", picture(number), {"number": number}, Deadline.within(30))

        others = []
        changes.meanwhile = lambda: others.append(put(2)) or others[0]
        put(1).result(30)
        others[0].result(30)

        [change] = changes.claim(1)
        assert (tmp_path / "corpus" / "a.png").read_bytes() == picture(change.facts["number"])


@pytest.mark.parametrize(
    "change",
    [
        lambda uploads, seen: uploads.put("a.png", picture(2), None, Deadline.within(30), seen),
        lambda uploads, seen: uploads.remove(image_id("a.png"), Deadline.within(30), seen),
    ],
)
def test_what_another_program_writes_between_the_look_and_the_change_stays_and_is_told(tmp_path, change):
    file = tmp_path / "corpus/a.png"

    class Raced(FolderCorpus):
        def read(self, key, max_bytes, deadline=None):
            data = super().read(key, max_bytes, deadline)
            file.write_bytes(b"of another program")
            return data

    store = MemoryStore()
    with standing(tmp_path, store, 1.0, corpus_kind=Raced) as (uploads, _):
        store.ensure("model@1", DIM)
        seen = Precondition(match=frozenset({uploads.put("a.png", picture(1), None, Deadline.within(30)).digest}))
        with pytest.raises(PreconditionFailed, match=r"another version than If-Match says; .* send If-Match") as refused:
            change(uploads, seen)
    assert refused.value.digest == hashlib.sha256(b"of another program").hexdigest()
    assert file.read_bytes() == b"of another program"


def replaced_meanwhile(then):
    """A corpus whose file another program replaces after it was looked at; a second look ends as `then` does."""

    class Replaced(FolderCorpus):
        looks = 0

        def read(self, key, max_bytes, deadline=None):
            self.looks += 1
            if self.looks == 2 and then is not None:
                raise then
            data = super().read(key, max_bytes, deadline)
            (self._root / key).write_bytes(b"of another program")
            return data

    return Replaced


@pytest.mark.parametrize(
    ("then", "digest"),
    [
        (None, hashlib.sha256(b"of another program").hexdigest()),
        (CorpusUnavailable("the disk is away"), ""),
        (DeadlineExceeded("late"), ""),
    ],
)
def test_a_change_that_is_refused_for_certain_is_said_to_be_whatever_is_seen_after_it(tmp_path, then, digest):
    """`*` means whichever file was seen: what is there now fulfils it, too, and was not meant."""
    store = MemoryStore()
    with standing(tmp_path, store, 1.0, corpus_kind=replaced_meanwhile(then)) as (uploads, _):
        store.ensure("model@1", DIM)
        uploads.put("a.png", picture(1), None, Deadline.within(30))
        with pytest.raises(PreconditionFailed, match="changed by another program") as refused:
            uploads.put("a.png", picture(2), None, Deadline.within(30), Precondition(match=ANY))
    assert refused.value.digest == digest
    assert (tmp_path / "corpus/a.png").read_bytes() == b"of another program"
