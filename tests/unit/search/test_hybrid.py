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
from ml_api.search.lookups import NOTHING, PATIENCE_S
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


class CountingIndex:
    """Knows how many lookups came with each call."""

    def __init__(self):
        self.calls = []

    def find(self, lookups):
        self.calls.append(len(lookups))
        return [NOTHING for _ in lookups]


def test_the_words_of_searches_that_wait_for_the_model_together_are_looked_up_in_one_call():
    index = CountingIndex()
    with closing(Hybrid(index, MemoryStore(), "COSINE", Metrics())) as hybrid:
        alone = hybrid.begin([QUERY])
        assert alone.result(10) == [NOTHING], "without anybody's coming for it"
        several = [hybrid.begin([QUERY]) for _ in range(3)]
        failed_at_the_model = hybrid.begin([QUERY, QUERY])
        assert index.calls == [1]
        for lookups in (*several, alone):
            assert hybrid.matches([QUERY], lookups, Deadline.within(10)) == {}
        assert index.calls == [1, 5]
        del failed_at_the_model
        assert hybrid.matches([QUERY], hybrid.begin([QUERY]), Deadline.within(10)) == {}


def test_whatever_the_index_raises_reaches_each_search_that_waits():
    class Broken:
        def find(self, lookups):
            raise ZeroDivisionError

    with closing(Hybrid(Broken(), MemoryStore(), "COSINE", Metrics())) as hybrid:
        for lookups in [hybrid.begin([QUERY]) for _ in range(2)]:
            with pytest.raises(ZeroDivisionError):
                hybrid.matches([QUERY], lookups, Deadline.within(10))


def test_lookups_that_were_given_up_are_not_made():
    index = CountingIndex()
    with closing(Hybrid(index, MemoryStore(), "COSINE", Metrics())) as hybrid:
        alone = hybrid.begin([QUERY])
        assert alone.result(10) == [NOTHING]
        first, *others = [hybrid.begin([QUERY]) for _ in range(3)]
        others[0].cancel()  # as a search does that has waited long enough
        assert hybrid.matches([QUERY], first, Deadline.within(10)) == {}
        assert index.calls == [1, 2]


def test_once_it_is_closed_searches_go_on_without_words():
    hybrid = Hybrid(CountingIndex(), MemoryStore(), "COSINE", Metrics())
    alone, beside = hybrid.begin([QUERY]), hybrid.begin([QUERY])
    alone.result(10)
    hybrid.close()
    assert hybrid.matches([QUERY], beside, Deadline.within(10)) == {}
    assert hybrid.matches([QUERY], hybrid.begin([QUERY]), Deadline.within(10)) == {}
