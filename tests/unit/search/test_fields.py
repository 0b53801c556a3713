"""The overview of the metadata's fields is made by one thread, for which others wait no longer than they may."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ml_api.deadline import Deadline
from ml_api.errors import DeadlineExceeded
from ml_api.search.fields import OverviewCache
from ml_api.vectors.memory import MemoryStore
from tests.contracts.samples import DIM, MODEL

PATIENCE_S = 20


class HeldStore(MemoryStore):
    def __init__(self):
        super().__init__()
        self.asked, self.gate = threading.Event(), threading.Event()

    def page(self, *what, **how):
        self.asked.set()
        self.gate.wait(PATIENCE_S)
        return super().page(*what, **how)


def test_who_waits_for_another_thread_s_first_look_waits_no_longer_than_the_deadline():
    store = HeldStore()
    store.ensure(MODEL, DIM)
    fields = OverviewCache(store)
    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(fields.overview, Deadline.within(PATIENCE_S))
        assert store.asked.wait(PATIENCE_S)
        with pytest.raises(DeadlineExceeded):
            fields.overview(Deadline.within(0.01))
        store.gate.set()
        assert first.result().over == 0
