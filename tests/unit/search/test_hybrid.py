"""When searches wait for words, and when they go on without."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import pytest

from ml_api.deadline import Deadline
from ml_api.embedding.batching import BatchingEncoder
from ml_api.embedding.fake import FakeEncoder, FakePreprocessor
from ml_api.errors import DatabaseUnavailable, Unavailable
from ml_api.metrics import Metrics
from ml_api.search import Query, Searcher
from ml_api.search.hybrid import Hybrid
from ml_api.search.lookups import AT_ONCE, NOTHING, PATIENCE_S, THREADS
from ml_api.search.query import TextTerm
from ml_api.vectors.base import SearchOptions
from ml_api.vectors.memory import MemoryStore
from tests.waiting import wait_until

QUERY = Query.of(TextTerm("dsc 0412"), SearchOptions(3))


class HeldIndex:
    """Answers once it may."""

    def __init__(self):
        self.may_answer = threading.Event()
        self.calls = 0

    def find(self, lookups):
        self.calls += 1
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
        assert index.calls == [1]
        for lookups in (*several, alone):
            assert hybrid.matches([QUERY], lookups, Deadline.within(10)) == {}
        assert index.calls == [1, 3]


def test_no_call_looks_more_up_than_a_batch_of_texts():
    index = CountingIndex()
    with closing(Hybrid(index, MemoryStore(), "COSINE", Metrics())) as hybrid:
        assert hybrid.begin([QUERY]).result(10) == [NOTHING]
        several = [hybrid.begin([QUERY] * 3) for _ in range(100)]
        for lookups in several:
            assert hybrid.matches([QUERY] * 3, lookups, Deadline.within(10)) == {}
        assert sum(index.calls) == 301
        assert max(index.calls) <= AT_ONCE


def test_while_the_database_hangs_one_call_at_most_waits_for_a_thread():
    index = HeldIndex()
    with closing(Hybrid(index, MemoryStore(), "COSINE", Metrics())) as hybrid:
        for _ in range(20 * THREADS):
            hybrid.end(lookups := hybrid.begin([QUERY]))
        last = hybrid.begin([QUERY])
        index.may_answer.set()
        assert last.result(10) == [NOTHING]
        assert index.calls <= THREADS + 1
        assert not lookups.done(), "which was given up in time"


def test_what_the_words_of_one_search_raise_reaches_no_other_that_waits():
    class Broken:
        def find(self, lookups):
            if any("broken" in lookup.words for lookup in lookups):
                raise ZeroDivisionError
            return [NOTHING for _ in lookups]

    broken = Query.of(TextTerm("broken"), SearchOptions(3))
    with closing(Hybrid(Broken(), MemoryStore(), "COSINE", Metrics())) as hybrid:
        assert hybrid.begin([QUERY]).result(10) == [NOTHING]
        waiting = [(query, hybrid.begin([query])) for query in (QUERY, broken, QUERY, broken)]
        raised = []
        for query, lookups in waiting:
            if query is broken:
                with pytest.raises(ZeroDivisionError) as caught:
                    hybrid.matches([query], lookups, Deadline.within(10))
                raised.append(caught.value)
            else:
                assert hybrid.matches([query], lookups, Deadline.within(10)) == {}
        assert raised[0] is not raised[1], "an error that is raised in two threads has the trace of both"


def test_lookups_that_were_given_up_are_not_made():
    index = CountingIndex()
    with closing(Hybrid(index, MemoryStore(), "COSINE", Metrics())) as hybrid:
        assert hybrid.begin([QUERY]).result(10) == [NOTHING]
        first, *others = [hybrid.begin([QUERY]) for _ in range(3)]
        hybrid.end(others[0])
        assert hybrid.matches([QUERY], first, Deadline.within(10)) == {}
        assert index.calls == [1, 2]


def test_a_search_is_alone_after_searches_that_failed_together_at_the_model():
    class Away(FakePreprocessor):
        def __init__(self):
            super().__init__()
            self.both_are_under_way = threading.Barrier(2)
            self.is_away = True

        def prepare_text(self, text):
            if self.is_away:
                self.both_are_under_way.wait(10)
                raise Unavailable("the model is away")
            return super().prepare_text(text)

    index, store, metrics, encoder, preprocessor = CountingIndex(), MemoryStore(), Metrics(), FakeEncoder(), Away()
    store.ensure(encoder.model.model_id, encoder.model.dim)
    with (
        closing(BatchingEncoder(encoder, metrics)) as embedder,
        closing(Hybrid(index, store, "COSINE", metrics)) as hybrid,
        ThreadPoolExecutor(2) as clients,
    ):
        searcher = Searcher(preprocessor, embedder, store, metrics, hybrid)
        for _ in range(3):
            for search in [clients.submit(searcher.search, QUERY, Deadline.within(10)) for _ in range(2)]:
                with pytest.raises(Unavailable):
                    search.result(10)
        preprocessor.is_away = False
        assert hybrid.begin([QUERY]).result(10) == [NOTHING], "without anybody's coming for it"
        assert index.calls[-1] == 1, "with those of nobody who failed"


def test_of_searches_that_began_before_the_database_hung_one_waits_for_it_and_says_so(caplog):
    """Each of them waited a second after the other, and began the pause anew."""
    index = HeldIndex()
    with closing(Hybrid(index, MemoryStore(), "COSINE", Metrics())) as hybrid:
        begun = [hybrid.begin([QUERY]) for _ in range(10)]
        for lookups in begun:
            assert hybrid.matches([QUERY], lookups, Deadline.within(60)) == {}
        assert caplog.text.count("searches go on without the words of images") == 1
        index.may_answer.set()


def test_a_search_that_waits_when_it_is_closed_goes_on_without_words(caplog):
    index = HeldIndex()
    hybrid = Hybrid(index, MemoryStore(), "COSINE", Metrics())
    for number in range(THREADS):  # so that none is left
        held = hybrid.begin([QUERY])
        wait_until(lambda number=number: index.calls > number)
        hybrid.end(held)
    last = hybrid.begin([QUERY])
    with ThreadPoolExecutor(1) as searching:
        found = searching.submit(hybrid.matches, [QUERY], last, Deadline.within(60))
        hybrid.close()
        assert found.result(10) == {}
    assert last.cancelled()
    assert caplog.text == "", "the database is not to blame"
    index.may_answer.set()


def test_once_it_is_closed_searches_go_on_without_words():
    hybrid = Hybrid(CountingIndex(), MemoryStore(), "COSINE", Metrics())
    alone, beside = hybrid.begin([QUERY]), hybrid.begin([QUERY])
    alone.result(10)
    hybrid.close()
    assert hybrid.matches([QUERY], beside, Deadline.within(10)) == {}
    assert hybrid.matches([QUERY], hybrid.begin([QUERY]), Deadline.within(10)) == {}
