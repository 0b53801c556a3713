"""What is said to have changed is looked at, and the index ends equal to the folder."""

import os

from ml_api.errors import NonFiniteVector
from ml_api.indexing.changes import Source
from ml_api.indexing.tasks import BATCH
from ml_api.records import image_id


def test_a_new_file_is_indexed_and_nothing_waits_any_more(world):
    world.draw("dogs/rex.png")
    world.note("dogs/rex.png")

    world.consumer.run()

    assert set(world.stored()) == {"dogs/rex.png"}
    assert world.rows() == {}
    assert world.outcomes() == {"added": 1}


def test_what_it_stores_is_what_a_sync_would_have_stored(world):
    (world.root / "metadata.jsonl").write_text('{"key": "a.png", "caption": "red"}\n')
    world.draw("a.png")
    world.draw("b.png", (1, 2, 3))
    world.note("a.png", "b.png")
    world.consumer.run()

    report = world.sync()

    assert report.summary() == "2 unchanged"
    assert world.encoder.batches == [2]
    assert world.store.get([image_id("a.png")])[image_id("a.png")].metadata == {"caption": "red"}


def test_a_changed_file_is_indexed_anew_and_keeps_its_metadata(world):
    world.draw("a.png")
    world.note("a.png", facts={"caption": "mine"})
    world.consumer.run()
    before = world.stored()["a.png"]

    world.draw("a.png", (10, 200, 10))
    world.note("a.png")
    world.consumer.run()

    after = world.store.get([image_id("a.png")])[image_id("a.png")]
    assert after.digest != before.digest
    assert after.metadata == {"caption": "mine"}
    assert world.outcomes() == {"added": 1, "replaced": 1}


def test_an_image_that_a_sync_removes_while_it_is_looked_at_is_indexed_again(world):
    """It ended the look with a KeyError, and all that was claimed waited for two minutes."""
    world.draw("a.png")
    world.note("a.png")
    world.consumer.run()
    os.utime(world.root / "a.png", (1, 1))
    world.draw("b.png", (30, 30, 200))
    world.note("a.png", "b.png")
    known = world.store.vectors
    world.store.vectors = lambda ids, deadline=None: world.store.delete(ids) or known(ids, deadline)

    world.consumer.run()

    world.store.vectors = known
    world.consumer.run()
    assert world.stored().keys() == {"a.png", "b.png"}
    assert world.rows() == {}


def test_a_deleted_file_leaves_the_index(world):
    path = world.draw("a.png")
    world.sync()
    path.unlink()
    world.note("a.png", source=Source.EVENT)

    world.consumer.run()

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

    world.consumer.run()

    assert world.stored() == {}


def test_notices_that_come_twice_or_too_late_change_nothing(world):
    world.draw("a.png")
    world.note("a.png", "gone.png", source=Source.EVENT)
    world.consumer.run()
    world.note("a.png", "gone.png", source=Source.EVENT)

    world.consumer.run()

    assert world.encoder.batches == [1]
    assert world.outcomes() == {"added": 1, "unchanged": 3}


def test_a_burst_is_embedded_in_full_batches(world):
    keys = [f"{number}.png" for number in range(10 * BATCH)]
    for number, key in enumerate(keys):
        world.draw(key, (number % 256, number // 256, 7))
    world.note(*keys)

    world.consumer.run()

    assert world.encoder.batches == [BATCH] * 10
    assert len(world.stored()) == 10 * BATCH


def test_what_came_while_the_store_was_down_is_embedded_in_full_batches(world):
    world.store.down = True
    for number in range(3 * BATCH):
        world.draw(f"{number}.png", (number, 7, 7))
        world.note(f"{number}.png", source=Source.EVENT)
        if number % 20 == 0:
            world.new_consumer().run()
    world.store.down = False

    world.new_consumer().run()

    assert world.encoder.batches == [BATCH] * 3


def test_equal_files_go_through_the_model_once(world):
    world.draw("a.png")
    world.draw("b.png")
    world.note("a.png", "b.png")

    world.consumer.run()

    assert world.encoder.batches == [1]
    assert set(world.stored()) == {"a.png", "b.png"}


def test_a_file_that_is_no_image_is_told_and_not_tried_again(world, caplog):
    (world.root / "bad.png").write_bytes(b"no image at all")
    world.note("bad.png", source=Source.EVENT)

    world.consumer.run()

    assert world.rows() == {}
    assert world.outcomes() == {"failed": 1}
    assert "not indexed: bad.png: The file looks like text" in caplog.text

    world.note("bad.png", source=Source.EVENT)
    world.corpus.read = None  # it would be called
    world.consumer.run()
    assert world.outcomes() == {"failed": 2}


def test_a_file_that_broke_loses_its_old_vector(world):
    world.draw("a.png")
    world.sync()
    (world.root / "a.png").write_bytes(b"broken")
    world.note("a.png", source=Source.EVENT)

    world.consumer.run()

    assert world.stored() == {}


def test_one_image_without_a_finite_vector_costs_no_other_its_place(world):
    def refuse_dark_ones(items):
        if any(item.features.min() == item.features.mean() == 0 for item in items):
            raise NonFiniteVector

    world.encoder.before = refuse_dark_ones
    world.draw("dark.png", (0, 0, 0))
    world.draw("a.png", (250, 250, 250))
    world.note("dark.png", "a.png")

    world.consumer.run()

    assert set(world.stored()) == {"a.png"}
    assert world.outcomes() == {"added": 1, "failed": 1}


def test_a_watched_file_that_is_no_image_may_be_half_written_and_is_looked_at_again_before_it_is_broken(world):
    world.draw("a.png")
    world.sync()
    whole = world.draw("a.png", (1, 2, 3)).read_bytes()
    (world.root / "a.png").write_bytes(whole[:60])
    for _ in range(2):
        world.note("a.png") if not world.rows() else world.be_due()
        world.consumer.run()
        assert set(world.stored()) == {"a.png"}  # as it was: its writer may only pause
        assert "half-written" in world.rows()["a.png"].error
    world.be_due()
    world.consumer.run()
    assert world.stored() == {}
    assert world.outcomes() == {"retried": 2, "failed": 1}


def test_files_of_a_disk_that_is_not_mounted_stay_indexed(world):
    for number in range(3):
        world.draw(f"{number}.png", (number, 0, 0))
    world.sync()
    world.note(*world.stored())
    world.root.rename(world.root.with_name("unmounted"))
    world.root.mkdir()

    world.consumer.run()

    assert len(world.stored()) == 3
    assert "is its disk mounted" in world.rows()["0.png"].error
