"""Moves that are told while a sync runs, wants to, or has just begun with the watcher."""

import numpy as np
import pytest

from ml_api.deadline import Deadline
from ml_api.indexing.changes import Backlog
from ml_api.indexing.edits import patch_metadata
from ml_api.indexing.guard import Consent
from ml_api.records import image_id
from tests.unit.indexing.changes.world import OTHERS, READING, edited, end_job, start_job, tags


def test_a_copy_of_what_a_sync_has_moved_has_nothing_of_what_was_edited(world):
    """The file before was indexed until the end of the sync, hours later in a large one."""
    edited(world, "old.png")
    (world.root / "old.png").rename(world.root / "moved.png")
    start_job(world)

    def meanwhile():
        if "moved.png" in world.stored() and "copy.png" not in world.stored():
            world.draw("copy.png")
            world.note("copy.png")
            world.consumer.run()
        return False

    indexer = world.indexer()
    indexer.run(indexer.plan(), stop=meanwhile)

    assert tags(world) == {"moved.png": "old.png", "copy.png": None}


def test_a_copy_that_a_sync_has_read_before_its_original_moved_takes_the_vector_of_that(world):
    edited(world, "old.png")
    world.draw("copy.png")
    world.encoder.batches.clear()
    indexer = world.indexer()
    plan = indexer.plan()
    (world.root / "old.png").rename(world.root / "moved.png")
    world.note("moved.png", gone=["old.png"])
    world.consumer.run()

    report = indexer.run(plan)

    assert report.summary() == "1 unchanged, 1 duplicate"
    assert world.encoder.batches == []
    assert tags(world) == {"moved.png": "old.png", "copy.png": None}


def test_a_copy_has_the_vector_of_its_bytes_though_its_original_was_replaced_since_it_was_read(world):
    """It had that of the new original."""
    world.draw("original.png")
    world.sync()
    world.draw("copy.png")
    indexer = world.indexer()
    plan = indexer.plan()
    world.draw("original.png", (1, 2, 3))
    world.note("original.png")
    world.consumer.run()

    indexer.run(plan)
    world.sync()

    first, second = (world.store.vectors([image_id(key)])[image_id(key)] for key in ("original.png", "copy.png"))
    assert not np.array_equal(first, second)


def test_a_sync_that_listed_neither_end_of_a_move_leaves_what_was_edited_to_the_look_at_it(world):
    """The file was gone when its folder was listed, and in no other yet. The sync removed it before anybody looked there."""
    edited(world, "old.png")
    put_back = world.take_away("old.png")
    start_job(world)
    world.be_later(2.0)
    indexer = world.indexer(superseded=world.changes.superseded)
    plan = indexer.plan(Consent(empty=True))
    put_back()
    (world.root / "old.png").rename(world.root / "new.png")
    world.note("new.png", gone=["old.png"])

    indexer.run(plan)
    end_job(world)
    world.consumer.run()
    world.be_due()
    world.consumer.run()

    assert tags(world) == {"new.png": "old.png"}
    assert world.rows() == {}


@pytest.mark.parametrize("alone", [True, False])
def test_what_is_gone_waits_at_a_start_for_the_sync_with_which_a_watcher_begins(world, alone):
    """Also where several processes have the database: there it was removed before that sync was asked for."""
    world.draw("old.png")
    world.sync()
    (world.root / "old.png").unlink()
    world.note(gone=["old.png"])
    world.be_due()

    world.changes.begin(alone=alone)
    world.consumer.run()

    assert set(world.stored()) == {"old.png"}


def test_a_file_that_was_there_when_it_was_noted_and_has_moved_before_it_is_looked_at_keeps_what_was_edited(world):
    """kill -9 left its notice, and it moved while nothing ran: it was removed at once, and found elsewhere without its tag."""
    world.draw("old.png")
    world.sync()
    patch_metadata(world.store, image_id("old.png"), {"tag": "mine"}, Deadline.within(1))
    world.note("old.png")
    (world.root / "old.png").rename(world.root / "new.png")

    world.changes.begin(alone=True)
    world.consumer.run()
    assert set(world.stored()) == {"old.png"}
    world.note("new.png")
    world.consumer.run()
    world.be_due()
    world.consumer.run()

    assert set(world.stored()) == {"new.png"}
    assert world.record("new.png").metadata == {"tag": "mine"}
    assert world.rows() == {}


@pytest.mark.parametrize("began_s", [0.0, 2.0], ids=["after it", "before it"])
def test_what_has_gone_since_it_was_noted_stays_until_a_sync_that_runs_has_ended(world, began_s):
    world.draw("old.png")
    world.sync()
    world.note("old.png")
    (world.root / "old.png").unlink()
    if began_s:
        start_job(world)
        world.be_later(began_s)
    world.consumer.run()
    if not began_s:
        start_job(world)
    world.be_due()
    world.consumer.run()
    assert set(world.stored()) == {"old.png"}

    end_job(world)
    world.consumer.run()

    assert world.stored() == {}
    assert world.rows() == {}


@pytest.mark.parametrize("state", ["queued", "running"])
def test_what_is_gone_stays_for_a_sync_that_may_find_it_at_another_place(world, state):
    """kill -9 left it waiting, and the watcher begins with a sync: the vector was gone when the sync wanted to move it."""
    world.draw("old.png")
    world.sync()
    (world.root / "old.png").unlink()
    world.note(gone=["old.png"])
    world.changes.begin(alone=True)
    world.consumer.run()
    assert set(world.stored()) == {"old.png"}  # as that sync may not even be wanted yet

    world.be_due()
    start_job(world, state=state)
    world.consumer.run()
    assert set(world.stored()) == {"old.png"}
    assert world.changes.backlog() == Backlog(0, 0.0), "a sync of hours is no reason for an alert"
    end_job(world)
    assert world.changes.backlog().waiting == 1
    world.consumer.run()
    assert world.stored() == {}


@pytest.mark.parametrize("job", [*OTHERS, "dry-run", "a sync that began before"])
def test_what_is_gone_waits_for_no_job_that_cannot_find_it_elsewhere(world, job):
    """A first sync takes hours, and so may an export: what somebody has deleted is not found for so long."""
    world.draw("old.png")
    world.sync()
    start_job(world, (OTHERS | READING).get(job))
    world.be_later(2.0)
    (world.root / "old.png").unlink()
    world.note(gone=["old.png"])
    world.be_due()

    world.consumer.run()

    assert world.stored() == {}
