"""Files that failed are remembered: the same bytes under the same limits are not read again."""

import os

import numpy as np
import pytest
from sqlalchemy import select

from ml_api.corpus.folder import FolderCorpus
from ml_api.database.tables import FailureRow
from ml_api.records import image_id
from ml_api.vocabulary import SyncOutcome
from tests.unit.indexing.stand_ins import RecordingEncoder
from tests.unit.indexing.syncs.world import Dazzled, UnreadableCorpus, World


class Remembering(World):
    """Counts how often a model is loaded."""

    model_loads = 0

    def model(self):
        self.model_loads += 1
        return super().model()


@pytest.fixture
def remembering(tmp_path, database):
    (tmp_path / "corpus").mkdir()
    return Remembering(tmp_path / "corpus", database)


def broken_corpus(world):
    world.draw("sound.png")
    (world.root / "broken.jpg").write_bytes(b"not an image")
    (world.root / os.fsdecode(b"caf\xe9.png")).write_bytes(b"x")
    return world.sync()


class NoReads(FolderCorpus):
    def read(self, key, max_bytes):
        raise AssertionError(f"{key} was read again")


def test_a_file_that_failed_is_neither_read_again_nor_is_a_model_loaded_for_it(remembering):
    broken_corpus(remembering)
    first = remembering.failures()
    remembering.corpus_class = NoReads
    report = remembering.sync()
    assert remembering.failures() == first
    assert report.outcomes == {SyncOutcome.UNCHANGED: 1, SyncOutcome.FAILED: 2}
    assert report.done == report.total == 3
    assert remembering.model_loads == 1
    remembering.sync()
    assert remembering.model_loads == 1, "what is known has to stay known"


def test_a_file_that_failed_is_read_again_once_it_changes(remembering):
    broken_corpus(remembering)
    remembering.draw("broken.jpg")
    assert remembering.outcomes() == {"added": 1, "unchanged": 1, "failed": 1}
    assert set(remembering.stored()) == {"sound.png", "broken.jpg"}
    os.utime(remembering.root / "broken.jpg", ns=(1, 1))
    assert remembering.outcomes() == {"unchanged": 2, "failed": 1}


def test_a_file_that_failed_is_read_again_under_other_limits(remembering):
    broken_corpus(remembering)
    remembering.made_with = "other limits"
    remembering.sync()
    assert remembering.model_loads == 2


def test_a_file_that_the_model_made_nothing_of_is_tried_again(remembering):
    """Another sync's model may be sound: the file is not to blame."""
    remembering.draw("white.png", (255, 255, 255))
    remembering.encoder = Dazzled()
    report = remembering.sync()
    assert (report.outcomes, report.model_failed) == ({SyncOutcome.FAILED: 1}, True)
    value = remembering.metrics.sync.registry.get_sample_value
    assert value("ml_api_sync_last_success_timestamp_seconds") == 0
    remembering.encoder = RecordingEncoder()
    assert remembering.outcomes() == {"added": 1}
    assert value("ml_api_sync_last_success_timestamp_seconds") > 0


def test_a_model_that_makes_vectors_of_other_files_has_not_failed(remembering):
    remembering.draw("white.png", (255, 255, 255))
    remembering.draw("red.png")
    remembering.encoder = Dazzled()
    assert not remembering.sync().model_failed


def test_a_file_that_only_could_not_be_read_is_tried_again(remembering):
    remembering.draw("a.png")
    remembering.corpus_class = UnreadableCorpus
    assert remembering.outcomes() == {"failed": 1}
    remembering.corpus_class = FolderCorpus
    assert remembering.outcomes() == {"added": 1}


def test_what_is_stored_of_a_file_that_is_known_to_fail_goes(remembering):
    """The store may be older than what is remembered: a backup that was put back."""
    remembering.draw("a.png")
    remembering.draw("b.png", (1, 2, 3))
    before = remembering.store
    remembering.sync()
    records = before.get([image_id("a.png")])
    vectors = before.vectors([image_id("a.png")])
    (remembering.root / "a.png").write_bytes(b"broken now")
    assert remembering.outcomes() == {"failed": 1, "unchanged": 1}
    before.upsert(list(records.values()), np.stack(list(vectors.values())))
    assert remembering.outcomes() == {"failed": 1, "unchanged": 1}
    assert set(remembering.stored()) == {"b.png"}


def remembered(world):
    with world.database.read() as session:
        return set(session.scalars(select(FailureRow.key).where(FailureRow.corpus == str(world.root))))


def test_failures_that_are_no_more_are_forgotten(remembering):
    broken_corpus(remembering)
    assert remembered(remembering) == {"broken.jpg"}
    (remembering.root / "broken.jpg").unlink()
    remembering.sync()
    assert remembered(remembering) == set()


def test_failures_are_remembered_of_each_corpus_apart(remembering, tmp_path):
    broken_corpus(remembering)
    (tmp_path / "other").mkdir()
    other = Remembering(tmp_path / "other", remembering.database)
    other.sync()
    assert remembered(remembering) == {"broken.jpg"}


def test_files_that_failed_are_read_again_if_that_is_asked_for(remembering):
    broken_corpus(remembering)
    assert remembering.sync(retry=True).outcomes == {SyncOutcome.UNCHANGED: 1, SyncOutcome.FAILED: 2}
    assert remembering.model_loads == 2
    remembering.sync()
    assert remembering.model_loads == 2, "what failed again has to stay known"
