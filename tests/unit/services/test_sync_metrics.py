"""The metrics of a sync are written to a file while it runs."""

from ml_api.metrics import Metrics
from ml_api.services.indexer import _passing_on


def test_a_disk_that_fails_meanwhile_is_a_line_in_the_log_and_does_not_stop_the_sync(tmp_path, caplog):
    path = tmp_path / "sync-metrics.json"
    with _passing_on(Metrics().sync, path):
        path.unlink(missing_ok=True)
        path.mkdir()
    told = {record.getMessage() for record in caplog.records}
    assert told == {f"the metrics of this sync cannot be written to {path}: Is a directory"}
    assert not any(record.exc_info for record in caplog.records)
