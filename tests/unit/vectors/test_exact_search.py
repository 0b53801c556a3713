"""Whose turn it is to compare every vector of a server's collection, over one whose pages can be held up."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ml_api.deadline import Deadline
from ml_api.errors import Overloaded
from ml_api.vectors.base import SearchOptions
from ml_api.vectors.milvus.exact import ExactSearch
from tests.contracts.samples import DIM, unit_vectors

PATIENCE_S = 20
VECTORS = unit_vectors(3)
ANSWER, BACKGROUND = SearchOptions(1, exact=True), SearchOptions(1, exact=True, gives_way=True)


class Collection:
    """Each page has one row; `before_page` is called with its number."""

    dim, fields = DIM, ()

    def __init__(self, before_page=lambda number: None):
        self._before_page = before_page
        self.read = 0

    def page(self, _operation, after, _asked, _deadline):
        number = int(after or -1) + 1
        self._before_page(number)
        self.read += 1
        return [{"id": str(number), "vector": VECTORS[number]}] if number < len(VECTORS) else []


def search(exact, collection, options):
    return exact.nearest(collection, VECTORS[:1], options, Deadline.within(PATIENCE_S))


def test_background_work_finds_the_same():
    exact = ExactSearch("COSINE", PATIENCE_S)
    assert search(exact, Collection(), BACKGROUND) == search(exact, Collection(), ANSWER)


def test_background_work_holds_up_no_search_that_somebody_waits_for():
    """At the lowest priority it held their lock for up to 10 s."""
    exact, found = ExactSearch("COSINE", 0.0), []
    beside = Collection(lambda _number: found.append(exact.nearest(Collection(), VECTORS[:1], ANSWER, None)))
    search(exact, beside, BACKGROUND)
    assert len(found) == beside.read


def test_background_work_does_not_begin_beside_one():
    exact, background = ExactSearch("COSINE", PATIENCE_S), Collection()

    def begin(_number):
        with pytest.raises(Overloaded):
            search(exact, background, BACKGROUND)

    search(exact, Collection(begin), ANSWER)
    assert background.read == 0


def test_background_work_ends_before_its_next_page_once_one_begins():
    exact, begun, done = ExactSearch("COSINE", PATIENCE_S), threading.Event(), threading.Event()

    def hold(_number):
        begun.set()
        done.wait(PATIENCE_S)

    with ThreadPoolExecutor(1) as thread:

        def begin_another(_number):
            thread.submit(search, exact, Collection(hold), ANSWER)
            begun.wait(PATIENCE_S)

        background = Collection(begin_another)
        with pytest.raises(Overloaded):
            search(exact, background, BACKGROUND)
        done.set()
    assert background.read == 1
