"""Metrics of syncs outlive them, in a file that the service reads."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from ml_api.metrics import Metrics
from ml_api.metrics.sync import SyncFile
from ml_api.vocabulary import SyncStage


def served(path):
    registry = CollectorRegistry()
    registry.register(SyncFile(path))
    return registry


def test_the_service_serves_what_a_sync_has_left(tmp_path):
    path = tmp_path / "new" / "sync.prom"
    measured = Metrics().sync
    measured.items.labels("added").inc(3)
    measured.backlog.set(7)
    with measured.stage(SyncStage.EMBED):
        pass
    measured.save(path)
    registry = served(path)
    assert registry.get_sample_value("ml_api_sync_items_total", {"outcome": "added"}) == 3
    assert registry.get_sample_value("ml_api_sync_backlog") == 7
    assert registry.get_sample_value("ml_api_sync_stage_duration_seconds", {"stage": "embed"}) > 0
    assert generate_latest(registry) == generate_latest(measured.registry)


def test_the_next_sync_goes_on_from_there(tmp_path):
    path = tmp_path / "sync.prom"
    first, second = Metrics().sync, Metrics().sync
    first.items.labels("added").inc(3)
    first.failures.labels("image-damaged").inc(2)
    first.succeeded()
    first.save(path)
    second.restore(path)
    second.items.labels("added").inc(2)
    second.save(path)
    assert served(path).get_sample_value("ml_api_sync_items_total", {"outcome": "added"}) == 5
    assert served(path).get_sample_value("ml_api_sync_failures_total", {"reason": "image-damaged"}) == 2
    last_success = "ml_api_sync_last_success_timestamp_seconds"
    assert served(path).get_sample_value(last_success) == first.registry.get_sample_value(last_success) > 0


def test_without_a_sync_there_are_no_series(tmp_path):
    assert list(served(tmp_path / "none").collect()) == []


@pytest.mark.parametrize("content", [b"\xff\xfe", b"ml_api_sync_backlog not-a-number\n"])
def test_a_broken_file_is_told_of_and_served_as_nothing(tmp_path, content, caplog):
    path = tmp_path / "sync.prom"
    path.write_bytes(content)
    assert list(served(path).collect()) == []
    assert "cannot be read" in caplog.text
    Metrics().sync.restore(path)
