"""Lines that would come all the time are told together: the first at once, the others with their number."""

import logging
import queue

import pytest

from ml_api.logs.throttle import TIMES, LogThrottle

PATIENCE_S = 20


class Lines(logging.Handler):
    """Records as they come, from whatever thread."""

    def __init__(self):
        super().__init__()
        self.records = queue.SimpleQueue()

    def emit(self, record):
        self.records.put((record.getMessage(), vars(record)[TIMES], bool(record.exc_info)))

    def next(self):
        return self.records.get(timeout=PATIENCE_S)


@pytest.fixture
def lines():
    lines, log = Lines(), logging.getLogger("ml_api.tests.throttle")
    log.addHandler(lines)
    yield lines
    log.removeHandler(lines)


def tell(throttle, kind, *details):
    for detail in details:
        throttle.log(kind, f"{kind}: {detail}", logging.WARNING, ValueError(detail))


def test_the_first_of_a_kind_is_told_at_once_and_the_others_by_their_number(lines):
    throttle = LogThrottle(logging.getLogger("ml_api.tests.throttle"), every_s=0.2)
    tell(throttle, "store", "down", "down", "down")
    assert lines.next() == ("store: down", 1, True)
    assert lines.next() == ("store: down (2 times)", 2, False)


def test_figures_in_a_message_make_no_other_kind_of_it(lines):
    """As in "busy after 3.27 s": each would be a line with a traceback, and a thread."""
    throttle = LogThrottle(logging.getLogger("ml_api.tests.throttle"), every_s=0.2)
    tell(throttle, "store", *(f"busy after {number / 100} s" for number in range(1, 51)))
    tell(throttle, "model", "gone")
    told = [lines.next() for _ in range(3)]
    assert told == [
        ("store: busy after 0.01 s", 1, True),
        ("model: gone", 1, True),
        ("store: busy after 0.5 s (49 times)", 49, False),
    ]


def test_where_no_thread_is_to_be_had_the_next_line_is_a_first_one_again(lines, monkeypatch):
    def refuse(_timer):
        raise RuntimeError("can't start new thread")

    throttle = LogThrottle(logging.getLogger("ml_api.tests.throttle"), every_s=60)
    with monkeypatch.context() as machine:
        machine.setattr("threading.Timer.start", refuse)
        tell(throttle, "store", "down")
    tell(throttle, "store", "down still")

    assert [lines.next() for _ in range(2)] == [("store: down", 1, True), ("store: down still", 1, True)]
