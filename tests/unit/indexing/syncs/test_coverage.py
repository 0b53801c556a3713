"""What a listing leaves out: folders and files that cannot be read, and names that cannot be stored."""

import os
from collections import Counter

import pytest

from ml_api.corpus.base import CorpusFile, Coverage, PassedOver
from ml_api.corpus.folder import FolderCorpus
from ml_api.indexing.report import SyncReport
from ml_api.vocabulary import SyncOutcome
from tests.unit.indexing.syncs.world import UnreadableCorpus
from tests.unprivileged import without_privileges


def test_a_file_that_cannot_be_read_keeps_what_is_stored(world):
    path = world.draw("a.png")
    world.sync()
    os.utime(path, ns=(1, 1))
    world.corpus_class = UnreadableCorpus
    world.sync()
    assert world.failures() == {"a.png": "cannot be read: Input/output error"}
    assert set(world.stored()) == {"a.png"}


@pytest.mark.parametrize("mode", [0o000, 0o444])
def test_what_is_indexed_of_a_folder_that_cannot_be_listed_stays(shared_world, mode):
    world = shared_world
    for key in ("a.png", "locked/b.png", "locked/below/c.png", "gone.png"):
        world.draw(key, (len(key), 30, 30))
    world.sync()
    (world.root / "gone.png").unlink()
    world.draw("new.png", (1, 2, 3))
    (world.root / "locked").chmod(mode)
    with without_privileges():
        report = world.sync()
    assert report.outcomes == {SyncOutcome.ADDED: 1, SyncOutcome.REMOVED: 1, SyncOutcome.UNCHANGED: 1, SyncOutcome.UNLISTED: 2}
    assert report.done == report.total == 5
    assert [problem.partition(":")[2] for problem in report.coverage.problems()] == [" Permission denied"]
    assert set(world.stored()) == {"a.png", "locked/b.png", "locked/below/c.png", "new.png"}
    assert [(file.key, file.code, file.reason) for file in world.files if file.outcome is SyncOutcome.UNLISTED] == [
        (key, "folder-unlisted", "Permission denied") for key in ("locked/b.png", "locked/below/c.png")
    ]
    (world.root / "locked").chmod(0o755)
    assert world.outcomes() == {"unchanged": 4}


def test_a_folder_without_images_is_named_with_what_was_seen(world):
    for name in ("a.txt", "b.txt", "c.raw", ".hidden.png"):
        (world.root / name).write_bytes(b"x")
    assert world.sync().summary() == (f"no images in {world.root}; passed over: 3 with other endings (.txt 2, .raw 1), 1 hidden")


def test_what_was_left_out_is_counted_in_plain_words(world):
    coverage = Coverage(Counter({PassedOver.LINK: 1, PassedOver.SPECIAL: 2}), unlisted={"a/": "no", "b/": "no", "c.png": "no"})
    report = SyncReport(str(world.root), coverage)
    assert report.summary() == f"no images in {world.root}; passed over: 2 no regular files, 1 link; not listed: 2 folders, 1 file"


def test_a_name_that_is_not_utf8_is_reported(world):
    world.draw("a.png")
    (world.root / os.fsdecode(b"caf\xe9.png")).write_bytes(b"x")
    world.sync()
    [(key, reason)] = world.failures().items()
    assert "UTF-8" in reason
    assert key == "caf\\xe9.png", "a key is text that everything can store"


@pytest.mark.parametrize(("key", "words"), [("x" * 5000 + ".png", "5,004 bytes"), ("a\0b.png", "NUL")])
def test_a_key_that_cannot_be_stored_is_reported_and_stops_nothing(world, key, words):
    """Buckets take keys that no folder does."""

    class Bucket(FolderCorpus):
        def list(self, coverage=None, prefix=""):
            yield from super().list(coverage, prefix)
            yield CorpusFile(key, "1")

    world.draw("a.png")
    world.corpus_class = Bucket
    assert world.outcomes() == {"added": 1, "failed": 1}
    assert words in world.failures()[key]
