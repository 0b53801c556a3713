"""What the index misses of live searches is measured beside them, and costs them nothing."""

import time
from dataclasses import replace

import pytest

from ml_api.errors import DeadlineExceeded, Overloaded, StoreUnavailable
from ml_api.metrics import Metrics
from ml_api.search.online_recall import MAX_WAITING, REST, SETTLED_S, K, OnlineRecall
from ml_api.vectors.base import SearchOptions
from ml_api.vectors.filters.tree import Condition, Field, Scalar
from ml_api.vectors.memory import MemoryStore
from tests.contracts.samples import DIM, MODEL, record, unit_vectors

IMAGES = 40
OLD = 1000.0


class ApproximateStore(MemoryStore):
    """Finds only every second image, unless it is asked to compare them all."""

    def __init__(self):
        super().__init__()
        self.passes, self.took_s, self.error = [], 0.0, None

    def search(self, vectors, options, deadline=None):
        if not options.exact:
            found = super().search(vectors, replace(options, limit=2 * options.limit), deadline)
            return [hits[::2] for hits in found]
        self.passes.append(len(vectors))
        self.asked = options
        if self.error:
            raise self.error
        return super().search(vectors, options, deadline)

    def compares_all(self, options):
        return options.exact


class Watched:
    """A recall that is measured, with its clock, store and metrics in reach."""

    def __init__(self, share=1.0, store=None):
        self.metrics, self.store, self.now, self.is_busy = Metrics(), store or ApproximateStore(), 100.0, False
        self.store.ensure(MODEL, DIM)
        self.vectors = unit_vectors(IMAGES)
        self.store.upsert([record(f"{number}.jpg", indexed_at=OLD) for number in range(IMAGES)], self.vectors)
        self.recall = OnlineRecall(self.store, self.metrics.search, share, lambda: self.is_busy, self.clock)

    def clock(self):
        self.now += self.store.took_s if isinstance(self.store, ApproximateStore) else 0
        return self.now

    def search(self, times=1, options=None):
        options = options or SearchOptions(K)
        for number in range(times):
            vectors = self.vectors[[number % IMAGES]]
            [found] = self.store.search(vectors, options)
            self.recall.note(vectors[0], options, found)

    def outcomes(self):
        found = {sample.labels["outcome"]: sample.value for sample in self.samples("ml_api_online_recall_searches_total")}
        return {outcome: number for outcome, number in found.items() if number}

    def mean(self):
        [total] = self.samples("ml_api_online_recall_sum")
        [count] = self.samples("ml_api_online_recall_count")
        return total.value / count.value

    def samples(self, name):
        return [sample for family in self.metrics.registry.collect() for sample in family.samples if sample.name == name]


@pytest.fixture
def watched():
    return Watched()


def test_what_was_missed_is_measured_in_one_pass_over_the_collection(watched):
    watched.search(8)
    watched.recall.look()
    assert watched.outcomes() == {"compared": 8}
    assert watched.mean() == 0.5
    assert watched.store.passes == [8]


def test_nothing_is_repeated_where_searches_compare_all_images_anyway():
    watched = Watched(store=MemoryStore())
    assert watched.recall.is_exact
    watched.search(8)
    watched.recall.look()
    assert watched.outcomes() == {}


@pytest.mark.parametrize(
    "options", [SearchOptions(K - 1), SearchOptions(K, 10), SearchOptions(K, exact=True)], ids=["few hits", "later page", "exact"]
)
def test_a_search_that_tells_nothing_of_the_ten_nearest_is_not_repeated(watched, options):
    watched.search(4, options)
    watched.store.passes.clear()
    watched.recall.look()
    assert watched.store.passes == []


def test_a_share_of_the_searches_is_repeated():
    watched = Watched(share=0.5)
    watched.recall._chance.seed(1)
    watched.search(MAX_WAITING)
    watched.recall.look()
    assert 20 < watched.outcomes()["compared"] < 44
    none = Watched(share=0)
    none.search(MAX_WAITING)
    none.recall.look()
    assert none.outcomes() == {}


def test_the_oldest_are_dropped_when_too_many_wait(watched):
    watched.search(MAX_WAITING + 3)
    assert watched.outcomes() == {"dropped": 3}
    watched.recall.look()
    assert watched.store.passes == [MAX_WAITING]


def test_a_busy_service_repeats_nothing(watched):
    watched.search(5)
    watched.is_busy = True
    watched.recall.look()
    assert (watched.outcomes(), watched.store.passes) == ({"dropped": 5}, [])


def test_after_a_pass_it_rests_for_many_times_as_long(watched):
    watched.store.took_s = 1.0
    watched.search()
    watched.recall.look()
    watched.store.took_s = 0.0
    watched.search()
    watched.now += REST - 2
    watched.recall.look()
    assert watched.store.passes == [1]
    watched.now += 2
    watched.recall.look()
    assert watched.store.passes == [1, 1]


def test_a_pass_gives_way_to_searches_that_somebody_waits_for(watched):
    watched.store.error = Overloaded("another exact search is running")
    watched.search(2)
    watched.recall.look()
    assert watched.outcomes() == {"dropped": 2}
    assert watched.store.asked.gives_way


@pytest.mark.parametrize("error", [StoreUnavailable("gone"), DeadlineExceeded("too long")])
def test_a_pass_that_fails_or_takes_too_long_is_counted_and_the_next_may_do_better(watched, error):
    watched.store.error = error
    watched.search(2)
    watched.recall.look()
    assert watched.outcomes() == {"failed": 2}
    watched.store.error = None
    watched.search()
    watched.recall.look()
    assert watched.outcomes() == {"failed": 2, "compared": 1}


def test_images_that_came_at_the_time_of_the_search_say_nothing_of_the_index(watched):
    watched.search()
    new = record("0.jpg", indexed_at=time.time() - SETTLED_S / 2)
    watched.store.upsert([new], watched.vectors[:1])
    watched.recall.look()
    assert watched.outcomes() == {"changed": 1}


def test_searches_with_one_filter_share_a_pass(watched):
    wanted = Condition(Field(built_in="width"), "gte", (Scalar("number", 0),))
    watched.search(3, SearchOptions(K, filter=wanted))
    watched.search(2)
    watched.recall.look()
    assert sorted(watched.store.passes) == [2, 3]
    assert watched.outcomes() == {"compared": 5}


def test_an_empty_collection_has_nothing_to_find(watched):
    watched.recall.note(watched.vectors[0], SearchOptions(K), [])
    watched.store.delete([record(f"{number}.jpg").id for number in range(IMAGES)])
    watched.recall.look()
    assert watched.outcomes() == {}
