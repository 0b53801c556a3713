"""What a sync makes of files that are new, changed, touched, moved, equal or gone."""

import os
import shutil

import numpy as np

from ml_api import tracing
from ml_api.indexing.tasks import BATCH
from ml_api.records import image_id
from ml_api.vectors.memory import MemoryStore
from ml_api.vocabulary import ReasonCode, SyncOutcome


def test_new_files_are_added_with_what_they_are(world):
    world.draw("a/one.png", size=(40, 30))
    (world.root / "metadata.jsonl").write_text('{"key": "a/one.png", "caption": "one"}\n')
    assert world.outcomes() == {"added": 1}
    record = world.store.get([image_id("a/one.png")])[image_id("a/one.png")]
    assert (record.key, record.width, record.height) == ("a/one.png", 40, 30)
    assert record.metadata == {"caption": "one"}


def test_an_unchanged_corpus_needs_neither_reading_nor_a_model(world):
    world.draw("a.png")
    world.sync()

    def no_model():
        raise AssertionError("an idle sync loaded the model")

    indexer = world.indexer(no_model)
    assert indexer.run(indexer.plan()).outcomes == {SyncOutcome.UNCHANGED: 1}


def test_a_changed_file_is_replaced(world):
    path = world.draw("a.png", (200, 30, 30))
    world.sync()
    before = world.store.vectors([image_id("a.png")])[image_id("a.png")]
    world.draw("a.png", (30, 30, 200))
    os.utime(path, ns=(1, 1))
    assert world.outcomes() == {"replaced": 1}
    assert not np.array_equal(before, world.store.vectors([image_id("a.png")])[image_id("a.png")])


def test_a_touched_file_is_read_but_not_embedded_again(world):
    path = world.draw("a.png")
    world.sync()
    os.utime(path, ns=(1, 1))
    assert world.outcomes() == {"unchanged": 1}
    assert world.encoder.batches == [1]
    assert world.outcomes() == {"unchanged": 1}
    assert world.preview().to_read == 0, "the new time was not remembered"


def test_a_removed_file_is_removed(world):
    world.draw("a.png")
    world.draw("b.png", (1, 2, 3)).unlink()
    world.draw("b.png", (1, 2, 3))
    world.sync()
    (world.root / "b.png").unlink()
    assert world.outcomes() == {"removed": 1, "unchanged": 1}
    assert set(world.stored()) == {"a.png"}


def test_a_moved_file_takes_its_vector_along(world):
    world.draw("old/a.png")
    world.draw("b.png", (1, 2, 3))
    world.sync()
    shutil.move(world.root / "old/a.png", world.root / "new.png")
    report = world.sync()
    assert report.outcomes == {SyncOutcome.MOVED: 1, SyncOutcome.UNCHANGED: 1}
    assert report.done == report.total == 2
    assert world.encoder.batches == [2]
    assert set(world.stored()) == {"new.png", "b.png"}


def test_equal_files_that_move_have_moved_all(world):
    for key in ("old/a.png", "old/b.png"):
        world.draw(key)
    world.sync()
    (world.root / "old").rename(world.root / "new")
    shutil.copy(world.root / "new/a.png", world.root / "new/c.png")
    assert world.outcomes() == {"moved": 2, "duplicate": 1}
    assert set(world.stored()) == {"new/a.png", "new/b.png", "new/c.png"}
    reasons = sorted(file.reason for file in world.files if file.outcome is SyncOutcome.MOVED)
    assert reasons == ["was old/a.png", "was old/b.png"]


def test_a_file_whose_time_went_backwards_is_read_again(world):
    path = world.draw("a.png", (200, 30, 30))
    world.sync()
    world.draw("a.png", (30, 30, 200))
    os.utime(path, (1, 1))
    assert world.outcomes() == {"replaced": 1}


def test_every_file_that_was_not_simply_unchanged_is_named_with_its_outcome(world):
    for number, key in enumerate(("same.png", "changed.png", "old.png", "gone.png")):
        world.draw(key, (number, 30, 30))
    world.sync()
    world.draw("changed.png", (99, 99, 99))
    (world.root / "old.png").rename(world.root / "new.png")
    (world.root / "gone.png").unlink()
    shutil.copy(world.root / "same.png", world.root / "copy.png")
    (world.root / "broken.jpg").write_bytes(b"not an image")
    world.draw("fresh.png", (1, 2, 3))
    report = world.sync()
    assert sorted((file.key, file.outcome.value, file.code) for file in world.files) == [
        ("broken.jpg", "failed", "image-format"),
        ("changed.png", "replaced", None),
        ("copy.png", "duplicate", None),
        ("fresh.png", "added", None),
        ("gone.png", "removed", None),
        ("new.png", "moved", None),
    ]
    assert report.done == report.total == len(world.files) + 1


def test_two_files_that_swap_names_swap_vectors(world):
    a, b = world.draw("a.png", (200, 30, 30)), world.draw("b.png", (30, 30, 200))
    world.sync()
    vectors = world.store.vectors([image_id("a.png"), image_id("b.png")])
    a.rename(world.root / "c.tmp")
    b.rename(a)
    (world.root / "c.tmp").rename(b)
    os.utime(a, ns=(1, 1))
    os.utime(b, ns=(2, 2))
    assert world.outcomes() == {"replaced": 2}
    swapped = world.store.vectors([image_id("a.png"), image_id("b.png")])
    np.testing.assert_allclose(swapped[image_id("a.png")], vectors[image_id("b.png")], atol=1e-6)
    np.testing.assert_allclose(swapped[image_id("b.png")], vectors[image_id("a.png")], atol=1e-6)


def test_equal_files_are_all_found_and_embedded_once_they_are_known(world):
    world.draw("a.png")
    world.sync()
    shutil.copy(world.root / "a.png", world.root / "copy.png")
    assert world.outcomes() == {"duplicate": 1, "unchanged": 1}
    assert world.encoder.batches == [1]
    assert set(world.stored()) == {"a.png", "copy.png"}


def test_batches_are_full_but_for_the_last(world):
    for number in range(2 * BATCH + 5):
        world.draw(f"{number:03}.png", (number, 2 * number, 5))
    assert world.outcomes() == {"added": 2 * BATCH + 5}
    assert world.encoder.batches == [BATCH, BATCH, 5]


def test_every_file_is_accounted_for_and_counted(world):
    for number in range(40):
        world.draw(f"{number:02}.png", (number, 0, 0))
    (world.root / "broken.png").write_bytes(b"")
    report = world.sync()
    assert report.done == report.total == 41
    value = world.metrics.sync.registry.get_sample_value
    assert value("ml_api_sync_items_total", {"outcome": "added"}) == 40
    assert value("ml_api_sync_items_total", {"outcome": "failed"}) == 1
    assert sum(value("ml_api_sync_failures_total", {"reason": reason}) for reason in ReasonCode) == 1


def test_the_threads_of_a_sync_work_for_its_trace(world):
    class ListeningStore(MemoryStore):
        origins = ()

        def upsert(self, records, vectors):
            self.origins += tracing.origins()
            super().upsert(records, vectors)

    world.draw("a.png")
    world.use(ListeningStore())
    with tracing.on_behalf_of([origin := tracing.run_origin()]):
        world.sync()
    assert world.store.origins == (origin,)
    for stage in ("plan", "read", "embed", "write", "remove"):
        assert world.metrics.sync.registry.get_sample_value("ml_api_sync_stage_duration_seconds", {"stage": stage}) > 0
