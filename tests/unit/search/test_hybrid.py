"""When searches wait for words, and when they go on without."""

import threading
from contextlib import closing
from dataclasses import replace

import pytest

from ml_api.deadline import Deadline
from ml_api.errors import DatabaseUnavailable
from ml_api.metrics import Metrics
from ml_api.search import Query
from ml_api.search.hybrid import Hybrid
from ml_api.search.lookups import MAX_WAITING, NOTHING, PATIENCE_S
from ml_api.search.query import TextTerm
from ml_api.vectors.base import SearchOptions
from ml_api.vectors.memory import MemoryStore

QUERY = Query.of(TextTerm("dsc 0412"), SearchOptions(3))


class HeldIndex:
    """Answers once it may."""

    def __init__(self):
        self.may_answer = threading.Event()

    def find(self, lookups):
        assert self.may_answer.wait(10)
        return [NOTHING for _ in lookups]


def test_a_hurried_search_goes_on_without_words_in_time_and_takes_them_from_nobody_else():
    index = HeldIndex()
    with closing(Hybrid(index, MemoryStore(), "COSINE", Metrics())) as hybrid:
        deadline = Deadline.within(0.2)
        assert hybrid.matches([QUERY], hybrid.begin([QUERY]), deadline) == {}
        assert deadline.left_s() > 0, "and leaves time for the vectors"
        index.may_answer.set()
        lookups = hybrid.begin([QUERY])
        assert lookups is not None, "words are looked up for others"
        assert hybrid.matches([QUERY], lookups, Deadline.within(10)) == {}


def test_while_the_database_hangs_hurried_searches_soon_wait_no_more():
    index = HeldIndex()
    with closing(Hybrid(index, MemoryStore(), "COSINE", Metrics())) as hybrid:
        lookups, waited = hybrid.begin([QUERY]), 0
        while lookups is not None:
            assert hybrid.matches([QUERY], lookups, Deadline.within(0.2)) == {}
            lookups, waited = hybrid.begin([QUERY]), waited + 1
        assert waited <= 2 * PATIENCE_S / 0.2 + 2
        index.may_answer.set()


def test_a_search_by_words_alone_says_that_they_cannot_be_looked_up():
    index, query = HeldIndex(), replace(QUERY, match="text")
    with closing(Hybrid(index, MemoryStore(), "COSINE", Metrics())) as hybrid:
        with pytest.raises(DatabaseUnavailable, match="match=text"):
            hybrid.matches([query], hybrid.begin([query]), Deadline.within(0.02))
        index.may_answer.set()


def test_lookups_that_were_given_up_leave_their_room_to_others():
    index = HeldIndex()
    with closing(Hybrid(index, MemoryStore(), "COSINE", Metrics())) as hybrid:
        for _ in range(2 * MAX_WAITING):
            lookups = hybrid.begin([QUERY])
            assert lookups is not None, "there is room"
            lookups.cancel()  # as a search does that has waited long enough
        index.may_answer.set()
