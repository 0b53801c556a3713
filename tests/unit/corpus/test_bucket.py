"""A bucket that hangs holds some requests, not all: what a service does with a slow one."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from ml_api.corpus.bucket import BucketCorpus
from ml_api.deadline import Deadline
from ml_api.errors import CorpusUnavailable, DeadlineExceeded, NotFound
from tests.waiting import wait_until


class Slow:
    """Objects that answer once they are told to."""

    root = location = "slow"

    def __init__(self):
        self.answer = Event()
        self.asked = 0

    def read(self, key, to, max_bytes, timeout_s):
        if key == ".mlapiignore":
            raise NotFound(key)
        self.asked += 1
        if not self.answer.wait(timeout_s):
            raise CorpusUnavailable("slow did not answer")
        to.write(b"x")


@pytest.fixture
def slow():
    slow = Slow()
    yield slow
    slow.answer.set()


def test_requests_that_wait_for_a_bucket_are_few_and_others_are_told_soon(slow):
    corpus = BucketCorpus(slow, at_once=2)
    with ThreadPoolExecutor(2) as threads:
        held = [threads.submit(corpus.read, "a.jpg", 10, Deadline.within(30)) for _ in range(2)]
        wait_until(lambda: slow.asked == 2)
        with pytest.raises((CorpusUnavailable, DeadlineExceeded)):
            corpus.read("a.jpg", 10, Deadline.within(0.05))
        slow.answer.set()
        assert [read.result() for read in held] == [b"x", b"x"]
    assert corpus.read("a.jpg", 10, Deadline.within(30)) == b"x"


def test_a_request_ends_at_its_deadline(slow):
    corpus = BucketCorpus(slow, at_once=1)
    for _ in range(2):
        with pytest.raises(DeadlineExceeded):
            corpus.read("a.jpg", 10, Deadline.within(0.02))


def test_a_sync_waits_for_no_turn(slow):
    corpus = BucketCorpus(slow, at_once=1)
    with ThreadPoolExecutor(5) as threads:
        reads = [threads.submit(corpus.read, "a.jpg", 10) for _ in range(5)]
        wait_until(lambda: slow.asked == 5)
        slow.answer.set()
        assert [read.result() for read in reads] == [b"x"] * 5
