"""Uploads while the parts that they stand between do not answer; what they do otherwise is tested through the API."""

import io
from contextlib import closing
from threading import Event

from PIL import Image

from ml_api.corpus.folder import FolderCorpus
from ml_api.database import Database
from ml_api.deadline import Deadline
from ml_api.embedding.fake import FakePreprocessor
from ml_api.images import ImageLimits, InlineDecoder
from ml_api.indexing.changes import Changes
from ml_api.indexing.uploads import Uploads
from ml_api.vectors.memory import MemoryStore
from ml_api.vocabulary import UploadState


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


def test_a_store_that_hangs_keeps_no_upload_out_and_is_asked_seldom(tmp_path):
    (tmp_path / "corpus").mkdir()
    corpus, store = FolderCorpus(tmp_path / "corpus"), HungStore()
    decoder = InlineDecoder(ImageLimits(100_000, 1_000_000, 20))
    with closing(Database.open(str(tmp_path / "state.sqlite3"))) as database:
        changes = Changes(database, corpus.location)
        uploads = Uploads(corpus, store, changes, decoder, FakePreprocessor(), patience_s=0.05)
        for number in range(5):
            upload = uploads.put(f"{number}.png", picture(number), None, Deadline.within(30))
            assert uploads.state(upload, Deadline.within(0.01)) is UploadState.QUEUED
        assert changes.backlog().waiting == 5
    assert len(list((tmp_path / "corpus").iterdir())) == 5
    assert store.asked <= 2
