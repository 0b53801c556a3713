"""A file that moved keeps its vector and what was edited of it, however its two ends are told; a copy has nothing of it."""

import pytest

from ml_api.deadline import Deadline
from ml_api.indexing.changes.consumer import CLAIMED
from ml_api.indexing.edits import patch_metadata
from ml_api.indexing.guard import Consent
from ml_api.records import image_id
from ml_api.vocabulary import SyncOutcome
from tests.unit.indexing.changes.world import edited, tags


def test_a_file_that_has_moved_keeps_its_vector_and_what_was_edited(world):
    world.draw("old.png")
    world.sync()
    patch_metadata(world.store, image_id("old.png"), {"tag": "mine"}, Deadline.within(1))
    world.encoder.batches.clear()
    (world.root / "new.png").hardlink_to(world.root / "old.png")
    (world.root / "old.png").unlink()

    world.note("new.png", gone=["old.png"])
    world.consumer.run()
    world.be_due()
    world.consumer.run()

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
    world.consumer.run()
    world.store.down = False
    world.new_consumer().run()
    world.be_due()
    world.new_consumer().run()

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
    world.consumer.run()
    world.note("new.png")
    world.be_due()
    world.consumer.run()

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
    world.new_consumer().run()
    world.note(gone=["old.png"])
    world.be_due()
    world.new_consumer().run()

    assert world.encoder.batches == []
    assert set(world.stored()) == {"new.png"}
    assert world.record("new.png").metadata == {"tag": "mine"}


@pytest.mark.parametrize("by", ["consumer", "sync"])
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
    if by == "consumer":
        world.note("new.png")
        world.consumer.run()
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
    world.consumer.run()

    assert world.record("new.png").metadata == {}


@pytest.mark.parametrize("by", ["consumer", "sync"])
@pytest.mark.parametrize("copy", ["copy.png", "z-copy.png"])
def test_of_a_file_that_moved_and_its_copy_the_moved_one_has_what_was_edited(world, by, copy):
    """Both had it, of those that were watched; in a sync the one whose name comes first."""
    edited(world, "old.png")
    (world.root / "old.png").rename(world.root / "moved.png")
    world.draw(copy)

    if by == "consumer":
        world.note(copy, "moved.png", gone=["old.png"])
        world.consumer.run()
    else:
        world.sync()

    assert tags(world) == {"moved.png": "old.png", copy: None}


def test_a_copy_that_comes_after_a_move_has_nothing_of_what_was_edited(world):
    """The file before was still indexed, as a second passes until it is looked at."""
    edited(world, "old.png")
    (world.root / "old.png").rename(world.root / "moved.png")
    world.note("moved.png", gone=["old.png"])
    world.consumer.run()

    world.draw("copy.png")
    world.note("copy.png")
    world.consumer.run()

    assert tags(world) == {"moved.png": "old.png", "copy.png": None}


@pytest.mark.parametrize("by", ["consumer", "sync"])
def test_of_equal_files_that_move_at_once_each_keeps_what_was_edited(world, by):
    """All had what was edited of one, if they were watched."""
    keys = ["a.png", "b.png", "c.png"]
    edited(world, *keys)
    new = {"a.png": "z.png", "b.png": "y.png", "c.png": "x.png"}
    for key in keys:
        (world.root / key).rename(world.root / new[key])

    if by == "consumer":
        world.note(*new.values(), gone=keys)
        world.consumer.run()
    else:
        world.sync()

    assert tags(world) == {new[key]: key for key in keys}


@pytest.mark.parametrize("by", ["consumer", "sync"])
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

    if by == "consumer":
        world.note(*new, gone=["a.png", "b.png", "c.png", "plain.png"])
        world.consumer.run()
    else:
        world.sync(consent=Consent(removals=True))

    assert tags(world).items() >= {"1.png": "a.png", "2/c.png": "c.png", "3/b.png": "b.png"}.items()


@pytest.mark.parametrize("by", ["consumer", "sync"])
def test_a_file_that_moves_over_another_takes_along_what_was_edited(world, by):
    edited(world, "old.png")
    world.draw("new.png", (1, 2, 3))
    world.sync()
    (world.root / "old.png").rename(world.root / "new.png")

    if by == "consumer":
        world.note("new.png", gone=["old.png"])
        world.consumer.run()
    else:
        assert world.sync().summary() == "1 replaced, 1 removed"

    assert tags(world) == {"new.png": "old.png"}


def test_a_file_that_moves_there_and_back_keeps_what_was_edited(world):
    edited(world, "old.png")
    for old, new in (("old.png", "new.png"), ("new.png", "old.png")):
        (world.root / old).rename(world.root / new)
        world.note(new, gone=[old])
        world.consumer.run()
    world.be_due()
    world.consumer.run()

    assert tags(world) == {"old.png": "old.png"}
