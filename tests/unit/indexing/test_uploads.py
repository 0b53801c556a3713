"""Uploads while the parts that they stand between do not answer; what they do otherwise is tested through the API."""

import io
from contextlib import closing, contextmanager
from threading import Event

from PIL import Image

from ml_api.corpus.folder import FolderCorpus
from ml_api.deadline import Deadline
from ml_api.embedding.fake import FakePreprocessor
from ml_api.images import ImageLimits, InlineDecoder
from ml_api.indexing.changes import Changes
from ml_api.indexing.uploads import Uploads
from ml_api.vectors.memory import MemoryStore
from ml_api.vocabulary import UploadState
from tests.databases import new_database


class HungStore(MemoryStore):
    """Does not answer until the caller gives up."""

    asked = 0

    def get(self, ids, deadline=None):
        self.asked += 1
        Event().wait(deadline.left_s())
        raise deadline.exceeded()


def picture(number):
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (number, 0, 0)).save(file, "PNG")
    return file.getvalue()


@contextmanager
def standing(tmp_path, store, patience_s):
    """Uploads into an empty folder, and the changes that they note."""
    (tmp_path / "corpus").mkdir()
    corpus, decoder = FolderCorpus(tmp_path / "corpus"), InlineDecoder(ImageLimits(100_000, 1_000_000, 20))
    with closing(new_database(tmp_path / "state.sqlite3")) as database:
        changes = Changes(database, corpus.location)
        yield Uploads(corpus, store, changes, decoder, FakePreprocessor(), patience_s=patience_s), changes


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
