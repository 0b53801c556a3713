"""Whether the parts work, for many who ask at once and for parts that never answer."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from ml_api.embedding.batching import BatchingEncoder
from ml_api.embedding.fake import FakeEncoder, FakePreprocessor
from ml_api.errors import StoreUnavailable
from ml_api.health import CLOSED, Health
from ml_api.metrics import Metrics
from ml_api.vectors.memory import MemoryStore

PATIENCE_S = 20
SOON_S = 0.5


class PausedStore(MemoryStore):
    """Answers only when it is told to."""

    def __init__(self):
        super().__init__()
        self.may_answer = threading.Event()
        self.checks = 0

    def ping(self):
        self.checks += 1
        self.may_answer.wait(PATIENCE_S)


@pytest.fixture
def paused():
    store = PausedStore()
    yield store
    store.may_answer.set()


def health_of(store, timeout_s):
    encoder = FakeEncoder()
    store.ensure(encoder.model.model_id, encoder.model.dim)
    metrics = Metrics()
    return Health(FakePreprocessor(), BatchingEncoder(encoder, metrics), store, "images", metrics, timeout_s=timeout_s)


def test_a_part_that_never_answers_is_said_to_be_down_in_time_and_the_other_is_not(paused):
    with closing(health_of(paused, SOON_S)) as health:
        assert health.readiness() == {"model": "ok", "store": f"did not answer within {SOON_S} s"}


def test_those_who_ask_meanwhile_share_one_check(paused):
    with closing(health_of(paused, SOON_S)) as health, ThreadPoolExecutor(8) as callers:
        states = list(callers.map(lambda _: health.readiness()["store"], range(32)))
        assert states == [f"did not answer within {SOON_S} s"] * 32
        assert paused.checks == 1


def test_a_part_that_is_back_is_ready_again(paused):
    with closing(health_of(paused, SOON_S)) as health:
        health.readiness()
        paused.may_answer.set()
        deadline = threading.Event()
        for _ in range(1000):
            if health.readiness()["store"] == "ok":
                return
            deadline.wait(0.01)
    raise AssertionError("it is not said to be back")


def test_a_part_that_fails_says_why():
    class Broken(MemoryStore):
        def ping(self):
            raise StoreUnavailable("the vector store is away")

    with closing(health_of(Broken(), PATIENCE_S)) as health:
        assert health.readiness()["store"] == "the vector store is away"


def test_who_asks_after_another_model_has_taken_over_is_told_that_this_one_is_closed():
    health = health_of(MemoryStore(), PATIENCE_S)
    health.readiness()
    health.close()
    assert health.readiness() == {"model": CLOSED, "store": CLOSED}


def test_a_check_is_no_search():
    """By the searches that come, the embedded store tells when to file rows."""

    class Unsearched(MemoryStore):
        def search(self, *_args, **_options):
            pytest.fail("searched")

    with closing(health_of(Unsearched(), PATIENCE_S)) as health:
        assert health.readiness() == {"model": "ok", "store": "ok"}
