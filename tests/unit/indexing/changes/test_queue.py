"""Keys wait while a part is down or somebody else looks at them, in the order in which they are due, and nobody waits for ever."""

import os
import sqlite3
import time
from contextlib import closing

import pytest
from sqlalchemy import update

from ml_api.database.tables import ChangeRow
from ml_api.deadline import Deadline
from ml_api.errors import ModelUnavailable
from ml_api.indexing.changes import Source
from tests.unit.indexing.changes.world import start_job


@pytest.mark.parametrize("part", ["store", "model"])
def test_while_a_part_is_down_changes_wait_and_are_applied_after(world, part):
    def fail(_items):
        raise ModelUnavailable("no model")

    world.draw("a.png")
    world.note("a.png")
    world.store.down = part == "store"
    world.encoder.before = fail if part == "model" else world.encoder.before

    world.consumer.run()

    [row] = world.rows().values()
    assert row.attempts == 1
    assert row.error
    assert world.changes.backlog().waiting == 1

    world.store.down, world.encoder.before = False, lambda _items: None
    world.consumer.run()  # too early: it pauses
    assert world.stored() == {}
    world.new_consumer().run()
    assert set(world.stored()) == {"a.png"}
    assert world.rows() == {}


def test_a_file_that_cannot_be_read_now_is_tried_later_and_delays_no_other(world):
    world.draw("a.png")
    world.draw("b.png", (1, 2, 3))
    world.corpus.denied = {"a.png"}
    world.note("a.png", "b.png")

    world.consumer.run()

    assert set(world.stored()) == {"b.png"}
    assert world.rows()["a.png"].not_before > time.time()
    assert world.rows()["a.png"].error == "cannot be read: Permission denied"
    world.corpus.denied = set()
    world.changes.begin(alone=True)
    world.consumer.run()
    assert set(world.stored()) == {"a.png", "b.png"}


def test_what_a_killed_process_had_claimed_is_looked_at_by_the_next(world):
    world.draw("a.png")
    world.note("a.png")
    world.changes.claim(10)  # and then it died

    world.consumer.run()
    assert world.stored() == {}
    world.changes.begin(alone=True)  # as a process does when it starts
    world.consumer.run()

    assert set(world.stored()) == {"a.png"}


def test_a_start_waits_for_no_other_program_that_writes_to_the_database(world, caplog):
    """It failed after 5 s; searches need no database."""
    world.draw("a.png")
    world.note("a.png")
    world.changes.claim(10)  # and then it died
    with closing(sqlite3.connect(world.database.location, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        world.changes.begin(alone=True)
        world.consumer.run()
    assert "changes wait, and are tried again in 1 s" in caplog.text
    assert "another program keeps it locked" in caplog.text

    world.new_consumer().run()

    assert set(world.stored()) == {"a.png"}


def test_a_notice_that_comes_while_its_key_is_looked_at_is_not_lost(world):
    """The file changes after it was read and before the look has ended."""
    world.draw("a.png")
    world.note("a.png")

    def change_it(_items):
        world.encoder.before = lambda _items: None
        world.draw("a.png", (9, 9, 200), size=(41, 30))
        world.note("a.png")

    world.encoder.before = change_it
    world.consumer.run()

    assert len(world.encoder.batches) == 2
    assert world.sync().summary() == "1 unchanged"


def test_who_waits_hears_of_it(world):
    world.draw("a.png")
    world.note("a.png", source=Source.UPLOAD)
    assert not world.changes.wait("a.png", Deadline.within(0))

    world.consumer.run()

    assert world.changes.wait("a.png", Deadline.within(0))


def test_who_waits_hears_of_it_while_a_sync_runs(world):
    world.draw("a.png")
    world.note("a.png", source=Source.UPLOAD)
    start_job(world)

    world.consumer.run()

    assert world.changes.wait("a.png", Deadline.within(0))


def test_the_backlog_is_measured(world):
    world.draw("a.png")
    world.note("a.png")
    backlog = world.changes.backlog()
    assert backlog.waiting == 1
    assert abs(time.time() - backlog.oldest_at) < 60
    world.note("a.png")
    assert world.changes.backlog().oldest_at == backlog.oldest_at, "the oldest notice counts"
    world.consumer.run()
    assert world.metrics.registry.get_sample_value("ml_api_changes_waiting") == 0


def test_uploads_come_first(world):
    for key in ("event.png", "upload.png"):
        world.draw(key)
    world.note("event.png", source=Source.EVENT)
    world.note("upload.png", source=Source.UPLOAD)

    assert [change.key for change in world.changes.claim(10)] == ["upload.png", "event.png"]


def test_names_that_no_database_holds_are_left_out(world):
    assert world.note("a\0b.png", os.fsdecode(b"\xff.png"), "a.png") == 1
    assert world.rows().keys() == {"a.png"}


def test_an_announced_key_is_looked_at_though_nobody_says_more(world):
    """The process died between the write and the notice."""
    dies = world.changes.around("a.png")
    dies.__enter__()
    world.draw("a.png")
    world.consumer.run()
    assert world.stored() == {}
    world.changes.begin(alone=True)

    world.consumer.run()

    assert set(world.stored()) == {"a.png"}


def test_a_file_that_is_gone_does_not_wait_for_one_that_cannot_be_read(world):
    world.draw("old.png")
    world.sync()
    world.draw("denied.png", (1, 2, 3))
    (world.root / "old.png").unlink()
    world.corpus.denied = {"denied.png"}
    world.note("denied.png", gone=["old.png"])
    world.consumer.run()
    assert set(world.stored()) == {"old.png"}
    with world.database.write() as session:
        session.execute(update(ChangeRow).where(ChangeRow.source == "gone").values(not_before=0.0))

    world.consumer.run()

    assert world.stored() == {}
    assert set(world.rows()) == {"denied.png"}


def test_what_was_noted_before_the_clock_was_set_back_does_not_wait_until_it_is_as_late_again(world):
    world.draw("a.png")
    world.note("a.png")
    with world.database.write() as session:
        session.execute(update(ChangeRow).values(not_before=time.time() + 3600, received_at=time.time() + 3600))

    world.consumer.run()

    assert set(world.stored()) == {"a.png"}
