"""The metrics of a sync are written to a file while it runs."""

from contextlib import suppress

from ml_api.metrics import Metrics
from ml_api.services.indexer import _passing_on


def test_a_disk_that_fails_meanwhile_is_a_line_in_the_log_and_does_not_stop_the_sync(tmp_path, caplog):
    path = tmp_path / "sync-metrics.json"
    with _passing_on(Metrics().sync, path):
        put_a_directory_at(path)
    told = {record.getMessage() for record in caplog.records}
    assert told == {f"the metrics of this sync cannot be written to {path}: Is a directory"}
    assert not any(record.exc_info for record in caplog.records)


def put_a_directory_at(path):
    """However often the task that writes from time to time puts its file there meanwhile."""
    while not path.is_dir():
        path.unlink(missing_ok=True)
        with suppress(FileExistsError):
            path.mkdir()
