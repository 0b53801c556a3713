"""When searches wait for words, and when they go on without."""

import threading
from contextlib import closing

import pytest

from ml_api.deadline import Deadline
from ml_api.errors import DeadlineExceeded
from ml_api.metrics import Metrics
from ml_api.search import Query
from ml_api.search.hybrid import MOST_WAITING, NOTHING, Hybrid
from ml_api.search.query import TextTerm
from ml_api.vectors.base import SearchOptions
from ml_api.vectors.memory import MemoryStore

QUERY = Query.of(TextTerm("dsc 0412"), SearchOptions(3))


class HeldIndex:
    """Answers once it may."""

    def __init__(self):
        self.may_answer = threading.Event()

    def find(self, words, most):
        assert self.may_answer.wait(10)
        return NOTHING


def test_who_gives_a_search_too_little_time_takes_the_words_from_nobody_else():
    index = HeldIndex()
    with closing(Hybrid(index, MemoryStore(), "COSINE", Metrics())) as hybrid:
        with pytest.raises(DeadlineExceeded):
            hybrid.matches([QUERY], hybrid.begin([QUERY]), Deadline.within(0.01))
        index.may_answer.set()
        lookups = hybrid.begin([QUERY])
        assert lookups is not None, "words are looked up for others"
        assert hybrid.matches([QUERY], lookups, Deadline.within(10)) == {}


def test_lookups_that_were_given_up_leave_their_room_to_others():
    index = HeldIndex()
    with closing(Hybrid(index, MemoryStore(), "COSINE", Metrics())) as hybrid:
        for _ in range(2 * MOST_WAITING):
            lookups = hybrid.begin([QUERY])
            assert lookups is not None, "there is room"
            lookups.cancel()  # as a search does that has waited long enough
        index.may_answer.set()
