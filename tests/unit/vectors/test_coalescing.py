"""Searches that share calls. The store meets its callers at a gate, so nothing here waits for time to pass."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest

from ml_api.deadline import Deadline
from ml_api.errors import DeadlineExceeded, StoreUnavailable
from ml_api.metrics import Metrics
from ml_api.vectors.base import SearchOptions
from ml_api.vectors.coalescing import MAX_HITS, MAX_TOGETHER, CoalescingStore
from ml_api.vectors.memory import MemoryStore
from tests.contracts.samples import DIM, MODEL, gallery, unit_vectors

PATIENCE_S = 30.0
QUERIES = unit_vectors(200, seed=9)


class GatedStore(MemoryStore):
    """Lets the test hold searches back, see which calls come, and make one fail."""

    def __init__(self):
        super().__init__()
        self.entered = threading.Semaphore(0)
        self.gate = threading.Event()
        self.gate.set()
        self.calls = []
        self.deadlines = []
        self.failure = None
        self.answers = None

    def search(self, vectors, options, deadline=None):
        self.calls.append((len(vectors), options.limit, options.offset))
        self.deadlines.append(deadline)
        gate = self.gate
        self.entered.release()
        assert gate.wait(PATIENCE_S)
        if self.failure is not None:
            raise self.failure
        return super().search(vectors, options)[: self.answers]


def same(found, exact):
    """The same hits with the same scores, but for rounding, which differs with the number of queries in a product."""
    assert [[hit.record for hit in hits] for hits in found] == [[hit.record for hit in hits] for hits in exact]
    for hits, best in zip(found, exact, strict=True):
        assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in best], abs=1e-6)
    return True


class WatchedStore(CoalescingStore):
    """Tells the test when a caller has taken its place."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.joined = threading.Semaphore(0)

    def _join(self, options, waiting):
        try:
            return super()._join(options, waiting)
        finally:
            self.joined.release()


class Desk:
    """A CoalescingStore over a gated one, with callers in threads of their own."""

    def __init__(self):
        self.inner = GatedStore()
        self.metrics = Metrics()
        self.store = WatchedStore(self.inner, self.metrics, timeout_s=PATIENCE_S)
        self.store.ensure(MODEL, DIM)
        self.inner.upsert(*gallery(50))
        self._pool = ThreadPoolExecutor(200)

    def send(self, number, limit=5, offset=0, timeout_s=PATIENCE_S) -> Future:
        """Returns when the search has taken its place, so that the order of calls is the order of arrival."""
        sent = self._pool.submit(self.store.search, QUERIES[[number]], SearchOptions(limit, offset), Deadline.within(timeout_s))
        assert self.store.joined.acquire(timeout=PATIENCE_S)
        return sent

    def hold(self, number=0, limit=5, offset=0) -> Future:
        """Shut the gate with one search inside, so that what follows has to wait."""
        self.inner.gate.clear()
        held = self.send(number, limit, offset)
        assert self.inner.entered.acquire(timeout=PATIENCE_S)
        return held

    def waiting(self):
        return sum(map(len, self.store._lanes.values()))


@contextmanager
def open_desk(**options):
    desk = Desk(**options)
    try:
        yield desk
    finally:
        desk.inner.gate.set()
        desk.store.close()
        desk._pool.shutdown()


def test_a_lone_search_goes_at_once():
    with open_desk() as desk:
        for number in range(3):
            assert same(
                desk.store.search(QUERIES[[number]], SearchOptions(5, 2)),
                MemoryStore.search(desk.inner, QUERIES[[number]], SearchOptions(5, 2)),
            )
        assert desk.inner.calls == [(1, 5, 2)] * 3


def test_what_arrives_during_a_call_travels_together_in_the_next():
    with open_desk() as desk:
        sent = [desk.hold(0), *(desk.send(number) for number in range(1, 40))]
        desk.inner.gate.set()

        for number, answer in enumerate(sent):
            assert same(answer.result(PATIENCE_S), MemoryStore.search(desk.inner, QUERIES[[number]], SearchOptions(5)))
        assert desk.inner.calls == [(1, 5, 0), (39, 5, 0)]
        assert desk.metrics.registry.get_sample_value("ml_api_search_batch_size_count") == 2
        assert desk.metrics.registry.get_sample_value("ml_api_search_batch_size_sum") == 40


def test_without_threads_a_caller_serves_those_who_waited_for_it(monkeypatch):
    start = threading.Thread.start

    def refuse(thread):
        if thread.name.startswith("search_"):
            raise RuntimeError("can't start new thread")
        start(thread)

    with open_desk() as desk:
        sent = [desk.hold(0), desk.send(1), desk.send(2)]
        monkeypatch.setattr(threading.Thread, "start", refuse)
        desk.inner.gate.set()
        for number, answer in enumerate(sent):
            assert same(answer.result(PATIENCE_S), MemoryStore.search(desk.inner, QUERIES[[number]], SearchOptions(5)))
        monkeypatch.undo()

        # The lane is free, also once the pool has threads again, which find a job that is done already.
        sent = [desk.hold(3), desk.send(4)]
        desk.inner.gate.set()
        assert all(answer.result(PATIENCE_S) for answer in sent)


def test_every_page_is_searched_by_itself():
    with open_desk() as desk:
        pages = [(5, 0), (5, 10), (40, 0)]
        # Each first one is in the store while those before it are held there: no page waits for another.
        sent = {(page, 0): desk.hold(0, *page) for page in pages}
        sent |= {(page, number): desk.send(number, *page) for number in range(1, 4) for page in pages}
        desk.inner.gate.set()

        for (page, number), answer in sent.items():
            assert same(answer.result(PATIENCE_S), MemoryStore.search(desk.inner, QUERIES[[number]], SearchOptions(*page)))
        assert sorted(desk.inner.calls) == sorted((count, *page) for count in (1, 3) for page in pages)


def test_a_call_carries_no_more_searches_and_hits_than_it_may():
    with open_desk() as desk:
        desk.hold(0)
        desk.hold(0, limit=MAX_HITS // 4)
        desk.hold(0, limit=MAX_HITS + 1)
        sent = [desk.send(number, limit) for number in range(MAX_TOGETHER + 2) for limit in (5, MAX_HITS // 4)]
        sent += [desk.send(number, MAX_HITS + 1) for number in range(3)]
        desk.inner.gate.set()

        for answer in sent:
            answer.result(PATIENCE_S)
        most = {limit: max(count for count, each, _ in desk.inner.calls if each == limit) for _, limit, _ in desk.inner.calls}
        assert most == {5: MAX_TOGETHER, MAX_HITS // 4: 4, MAX_HITS + 1: 1}


def test_a_failure_reaches_every_caller_of_the_call_as_its_own():
    with open_desk() as desk:
        desk.inner.failure = StoreUnavailable("the vector store cannot be reached", code="gone")
        sent = [desk.hold(0), *(desk.send(number) for number in range(1, 9))]
        desk.inner.gate.set()

        first, *failures = [answer.exception(PATIENCE_S) for answer in sent]
        assert first is desk.inner.failure, "it went alone"
        assert {(type(failure), failure.slug, failure.detail) for failure in failures} == {
            (StoreUnavailable, "gone", "the vector store cannot be reached")
        }
        assert len({id(failure) for failure in failures}) == 8
        assert all(failure.__cause__ is desk.inner.failure for failure in failures)
        desk.inner.failure = None
        assert len(desk.store.search(QUERIES[:1], SearchOptions(5))[0]) == 5


@pytest.mark.parametrize("failure", [KeyError("a bug"), SystemExit("the store took the thread with it")])
def test_whatever_happens_to_a_call_nobody_is_left_waiting(failure):
    with open_desk() as desk:
        desk.inner.failure = failure
        sent = [desk.hold(0), desk.send(1), desk.send(2)]
        desk.inner.gate.set()

        assert [type(answer.exception(PATIENCE_S)) for answer in sent] == [type(failure)] * 3
        desk.inner.failure = None
        assert len(desk.store.search(QUERIES[:1], SearchOptions(5))[0]) == 5


def test_a_store_that_answers_too_few_leaves_nobody_waiting():
    with open_desk() as desk:
        desk.hold(0)
        sent = [desk.send(1), desk.send(2)]
        desk.inner.answers = 1
        desk.inner.gate.set()

        assert [type(answer.exception(PATIENCE_S)) for answer in sent] == [ValueError] * 2


def test_bad_vectors_and_windows_are_refused_before_they_join_others():
    with open_desk() as desk:
        held, innocent = desk.hold(0), desk.send(1)
        for vectors, limit in ((np.full((1, DIM), np.nan, dtype=np.float32), 5), (QUERIES[:1, :3], 5), (QUERIES[:1], 0)):
            with pytest.raises(ValueError, match=r"finite|shape|limit"):
                desk.store.search(vectors, SearchOptions(limit))
        desk.inner.gate.set()

        assert held.result(PATIENCE_S)
        assert innocent.result(PATIENCE_S)


def test_a_caller_does_not_wait_for_its_call_beyond_its_time():
    with open_desk() as desk:
        desk.hold(0)
        late, patient = desk.send(1, timeout_s=0.2), desk.send(2)
        first_gate, desk.inner.gate = desk.inner.gate, threading.Event()
        first_gate.set()
        assert desk.inner.entered.acquire(timeout=PATIENCE_S)

        assert isinstance(late.exception(PATIENCE_S), DeadlineExceeded)
        desk.inner.gate.set()
        assert patient.result(PATIENCE_S)


def test_a_caller_leaves_when_its_time_is_up_and_the_others_are_answered():
    with open_desk() as desk:
        desk.hold(0)
        waiting = [desk.send(1), desk.send(2, timeout_s=0.01), desk.send(3)]

        assert isinstance(waiting[1].exception(PATIENCE_S), DeadlineExceeded)
        desk.inner.gate.set()
        for number in (1, 3):
            assert same(waiting[number - 1].result(PATIENCE_S), MemoryStore.search(desk.inner, QUERIES[[number]], SearchOptions(5)))
        assert desk.inner.calls == [(1, 5, 0), (2, 5, 0)]


def test_a_call_lasts_as_long_as_its_most_patient_caller():
    with open_desk() as desk:
        desk.hold(0)
        sent = [desk.send(number, timeout_s=timeout_s) for number, timeout_s in ((1, 20), (2, 29), (3, 25))]
        desk.inner.gate.set()

        for answer in sent:
            answer.result(PATIENCE_S)
        assert [deadline.timeout_s for deadline in desk.inner.deadlines] == [PATIENCE_S, 29]


def test_a_search_without_a_deadline_gets_that_of_the_store():
    with open_desk() as desk:
        desk.store.search(QUERIES[:1], SearchOptions(5))
        assert desk.inner.deadlines[0].timeout_s == PATIENCE_S


def test_several_vectors_at_once_are_a_call_of_their_own():
    with open_desk() as desk:
        assert same(desk.store.search(QUERIES[:3], SearchOptions(5)), MemoryStore.search(desk.inner, QUERIES[:3], SearchOptions(5)))
        assert desk.store.search(QUERIES[:0], SearchOptions(5)) == []
        assert desk.inner.calls == [(3, 5, 0), (0, 5, 0)]


def test_several_vectors_with_more_hits_than_a_message_holds_go_in_parts():
    with open_desk() as desk:
        options = SearchOptions(limit=100)
        found = desk.store.search(QUERIES[:10], options)
        assert [number for number, _, _ in desk.inner.calls] == [7, 3]
        assert same(found, MemoryStore.search(desk.inner, QUERIES[:10], options))


def test_closing_answers_those_who_wait():
    with open_desk() as desk:
        held, waiting = desk.hold(0), desk.send(1)
        closing = desk._pool.submit(desk.store.close)
        desk.inner.gate.set()

        closing.result(PATIENCE_S)
        for answer in (held, waiting):
            failure = answer.exception(PATIENCE_S)
            assert failure is None or isinstance(failure, StoreUnavailable)
        with pytest.raises(StoreUnavailable, match="not open"):
            desk.store.search(QUERIES[:1], SearchOptions(5))


def test_many_callers_each_get_their_own_answer():
    with open_desk() as desk:
        expected = {limit: MemoryStore.search(desk.inner, QUERIES, SearchOptions(limit)) for limit in (3, 7)}
        with ThreadPoolExecutor(32) as callers:
            asked = [(number % len(QUERIES), (3, 7)[number % 2]) for number in range(2000)]
            answers = list(callers.map(lambda one: desk.store.search(QUERIES[[one[0]]], SearchOptions(one[1])), asked))

        assert same([hits for [hits] in answers], [expected[limit][number] for number, limit in asked])
        assert desk.store._lanes == {}
