"""Syncs that are stopped, or die, and the progress until then."""

import pytest

from ml_api.errors import StoreUnavailable
from ml_api.indexing.tasks import BATCH
from tests.unit.indexing.syncs.world import DyingStore


def test_a_sync_that_is_stopped_before_its_first_batch_does_not_deny_that_there_are_images(world):
    world.draw("a.png")
    indexer = world.indexer()
    assert indexer.run(indexer.plan(), stop=lambda: True).summary() == "nothing indexed"


def test_a_sync_that_is_told_to_stop_ends_with_what_is_written_and_goes_on_later(world):
    for number in range(5 * BATCH):
        world.draw(f"{number:03}.png", (number, 0, 0))
    (world.root / "gone.png").write_bytes((world.root / "000.png").read_bytes())
    indexer = world.indexer()
    reached = []
    report = indexer.run(
        indexer.plan(), lambda report: reached.append(report.done), lambda: bool(reached) and reached[-1] >= 2 * BATCH
    )
    assert report.stopped
    assert 2 * BATCH <= report.done < report.total == 5 * BATCH + 1
    assert len(world.stored()) == report.done
    value = world.metrics.sync.registry.get_sample_value
    assert value("ml_api_sync_last_success_timestamp_seconds") == 0
    assert value("ml_api_sync_backlog") == report.total - report.done
    again = world.sync()
    assert again.done == again.total == 5 * BATCH + 1
    assert not again.stopped
    assert len(world.stored()) == 5 * BATCH + 1


def test_a_sync_that_is_told_to_stop_removes_nothing(world):
    for number in range(10):
        world.draw(f"{number}.png", (number, 0, 0))
    world.sync()
    (world.root / "0.png").unlink()
    indexer = world.indexer()
    assert indexer.run(indexer.plan(), stop=lambda: True).stopped
    assert len(world.stored()) == 10


def test_progress_begins_once_the_model_is_loaded_with_what_is_done_already(world):
    world.draw("old.png")
    world.sync()
    world.draw("new.png", (1, 2, 3))
    events = []

    def load():
        events.append("loaded")
        return world.model()

    indexer = world.indexer(load)
    indexer.run(indexer.plan(), lambda report: events.append(report.done))
    assert events[:3] == ["loaded", 1, 2]


def test_progress_only_grows_and_ends_at_the_total(world):
    for number in range(70):
        world.draw(f"{number:02}.png", (number, 0, 0))
    seen = []
    indexer = world.indexer()
    report = indexer.run(indexer.plan(), lambda report: seen.append(report.done))
    assert seen == sorted(seen)
    assert seen[-1] == report.total == 70


def test_a_sync_that_died_is_completed_by_running_it_again(world):
    for number in range(3 * BATCH):
        world.draw(f"{number:03}.png", (number, 0, 0))
    world.use(DyingStore())
    with pytest.raises(StoreUnavailable):
        world.sync()
    assert len(world.stored()) == BATCH
    value = world.metrics.sync.registry.get_sample_value
    assert value("ml_api_sync_backlog") == 2 * BATCH
    assert value("ml_api_sync_items_total", {"outcome": "added"}) == BATCH
    assert value("ml_api_sync_last_success_timestamp_seconds") == 0
    world.store.upserts_left = 100
    assert world.outcomes() == {"added": 2 * BATCH, "unchanged": BATCH}
    assert len(world.stored()) == 3 * BATCH
    assert value("ml_api_sync_backlog") == 0
    assert value("ml_api_sync_items_total", {"outcome": "added"}) == 3 * BATCH
    assert value("ml_api_sync_last_success_timestamp_seconds") > 0
