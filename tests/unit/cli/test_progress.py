"""What a long step tells of itself where no terminal is."""

import logging

from ml_api.cli.progress import _Lines, show_progress


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def test_the_time_left_counts_from_the_first_call_and_from_what_was_done_by_then(caplog):
    """A model that takes a minute to load, and a thousand unchanged files, say nothing about the rest."""
    caplog.set_level(logging.INFO)
    clock = Clock()
    lines = _Lines("indexing", 1500, clock)
    clock.now += 60
    lines(1000)
    clock.now += 10
    lines(1100)
    assert [record.getMessage() for record in caplog.records] == ["indexing: 1100 of 1500, 10/s, 40 s left"]


def test_lines_come_now_and_then_only(caplog):
    caplog.set_level(logging.INFO)
    clock = Clock()
    lines = _Lines("indexing", 100, clock)
    for done in range(100):
        clock.now += 0.1
        lines(done)
    assert len(caplog.records) == 1


def test_progress_that_is_never_called_shows_nothing(capsys):
    with show_progress("indexing", 3):
        pass
    assert capsys.readouterr() == ("", "")
