"""Files and vectors that change, move or go while a sync is at it."""

import os
import shutil
from dataclasses import replace

import numpy as np

from ml_api.corpus.folder import FolderCorpus
from ml_api.records import image_id
from ml_api.vectors.memory import MemoryStore


class Meddling(FolderCorpus):
    """Somebody changes the folder while it is listed and read."""

    on_listed = staticmethod(lambda _key: None)
    on_read = staticmethod(lambda _key, data: data)

    def list(self, coverage=None, prefix=""):
        for file in super().list(coverage, prefix):
            yield file
            self.on_listed(file.key)

    def read(self, key, max_bytes, deadline=None):
        return self.on_read(key, super().read(key, max_bytes, deadline))


def test_a_file_that_is_replaced_after_it_was_listed_is_looked_at_again(world):
    path = world.draw("a.png", (200, 30, 30))

    class Replaced(Meddling):
        def read(self, key, max_bytes, deadline=None):
            world.draw("a.png", (30, 30, 200))
            os.utime(path, ns=(1, 1))
            return super().read(key, max_bytes, deadline)

    world.corpus_class = Replaced
    assert world.outcomes() == {"added": 1}
    world.corpus_class = FolderCorpus
    assert world.preview().to_read == 1
    assert world.outcomes() == {"unchanged": 1}, "its bytes are those that were read"
    assert world.preview().to_read == 0


def test_a_file_that_is_read_while_it_is_written_is_read_again(world):
    path = world.draw("a.png")
    whole = path.read_bytes()

    class HalfWritten(Meddling):
        @staticmethod
        def on_read(_key, data):
            os.utime(path, ns=(1, 1))  # the rest is written now
            return data[: len(data) // 2]

    world.corpus_class = HalfWritten
    assert world.outcomes() == {"failed": 1}
    world.corpus_class = FolderCorpus
    assert path.read_bytes() == whole
    assert world.outcomes() == {"added": 1}


def test_a_file_that_goes_before_it_is_read_takes_what_is_stored_with_it(world):
    for number, key in enumerate(("a.png", "b.png")):
        os.utime(world.draw(key, (number, 30, 30)), ns=(1, 1))
    world.sync()
    os.utime(world.root / "b.png", ns=(2, 2))

    class Going(Meddling):
        @staticmethod
        def on_listed(key):
            if key == "b.png":
                (world.root / key).unlink()

    world.corpus_class = Going
    assert world.outcomes() == {"unchanged": 1, "failed": 1}
    assert [file.code for file in world.files] == ["not-found"]
    assert set(world.stored()) == {"a.png"}


def test_a_file_that_moves_behind_the_listings_back_is_found_by_the_next_sync(world):
    for number, key in enumerate(("b.png", "c.png")):
        world.draw(key, (number, 30, 30))
    world.sync()

    class Moving(Meddling):
        @staticmethod
        def on_listed(key):
            if key == "b.png" and (world.root / "c.png").exists():
                (world.root / "c.png").rename(world.root / "a.png")

    world.corpus_class = Moving
    world.sync()
    world.sync()
    assert set(world.stored()) == {"a.png", "b.png"}


class ChangingStore(MemoryStore):
    """What somebody else does to it while a sync has its plan and reads files."""

    meanwhile = None

    def set_source(self, location):
        if self.meanwhile is not None:
            self.meanwhile()
        super().set_source(location)


def test_an_image_that_is_written_while_a_sync_runs_is_not_removed_by_it(world):
    """It was uploaded again, and the plan does not know."""
    world.use(ChangingStore())
    world.draw("a.png")
    world.draw("b.png", (1, 2, 3))
    world.sync()
    for key in ("a.png", "b.png"):
        (world.root / key).unlink()
    record = world.store.get([image_id("a.png")])[image_id("a.png")]
    vector = world.store.vectors([record.id])[record.id]
    world.store.set_source("")
    world.store.meanwhile = lambda: world.store.upsert([replace(record, version="9-9")], vector[np.newaxis])
    world.sync(empty=True)
    assert set(world.stored()) == {"a.png"}


def test_a_vector_that_is_deleted_before_it_is_taken_over_costs_this_sync_the_file_and_no_more(world):
    world.use(ChangingStore())
    world.draw("a.png")
    world.sync()
    shutil.copy(world.root / "a.png", world.root / "copy.png")
    world.store.set_source("")
    world.store.meanwhile = lambda: world.store.delete([image_id("a.png")])
    assert world.outcomes() == {"unchanged": 1, "failed": 1}
    assert [file.code for file in world.files] == ["changed-meanwhile"]
    world.store.meanwhile = None
    assert world.outcomes() == {"added": 2}
