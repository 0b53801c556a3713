"""Searches by the index: in which turn of the store they are made."""

from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

from ml_api.vectors.base import SearchOptions
from ml_api.vectors.milvus.index import VectorIndex
from ml_api.vectors.milvus.indexed import IndexSearch


class Opened:
    """A collection of an embedded store, which notes the turns that are taken."""

    collection = "images"
    access = SimpleNamespace(rows=SimpleNamespace(ranked=lambda *_: [[]]))

    def __init__(self):
        self.turns = []

    @contextmanager
    def reading(self, operation, _deadline=None):
        self.turns.append(("reading", operation))
        yield 1.0

    @contextmanager
    def searching(self, operation, _deadline=None):
        self.turns.append(("searching", operation))
        yield 1.0


@pytest.mark.parametrize(("gives_way", "turn"), [(False, "searching"), (True, "reading")])
def test_what_nobody_waits_for_does_not_count_as_a_search(gives_way, turn):
    """A search has rows flushed, and soon files written, for those that follow."""
    opened = Opened()
    options = SearchOptions(10, exact=True, gives_way=gives_way)
    IndexSearch(VectorIndex(), embedded=True).nearest(opened, np.eye(1, 4), options, None)
    assert opened.turns == [(turn, "exact")]
