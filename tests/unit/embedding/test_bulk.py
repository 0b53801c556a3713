"""Bulk work waits behind all others, in short passes while others come, and is owed its share all the same."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ml_api.embedding.base import Prepared
from ml_api.embedding.batching import BatchingEncoder, BulkEncoder
from ml_api.embedding.batching.costs import MAX_BATCH, PassCost
from ml_api.embedding.batching.queue import LONG_S, OWED_S, QUIET_S, SHORT_S, BatchQueue, Waiting
from ml_api.embedding.fake import FakeEncoder, FakePreprocessor
from ml_api.errors import ModelUnavailable, NonFiniteVector
from ml_api.metrics import Metrics
from tests.waiting import wait_until

IMAGE_S = 0.01
COST = PassCost(fixed_s=0.0, per_unit_s=IMAGE_S)
PATIENCE_S = 30
EVERYTHING = {"text": MAX_BATCH, "image": MAX_BATCH}
FOR_EVER = float("inf")


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def queue_of(clock, takers=1):
    return BatchQueue({"text": COST, "image": COST}, lambda _modality, _depth: None, takers, clock)


def images(number):
    return [Waiting(Prepared("image", np.zeros((3, 8, 8), dtype=np.float32)), FOR_EVER) for _ in range(number)]


def text():
    return Waiting(Prepared("text", np.zeros(7, dtype=np.int64)), FOR_EVER)


def test_whoever_waits_goes_first(clock):
    queue, bulk, search = queue_of(clock), images(3), text()
    queue.put_bulk(bulk)
    assert queue.take(EVERYTHING) == bulk
    queue.put_bulk(more := images(3))
    queue.put(search)
    assert queue.take(EVERYTHING) == [search]
    assert queue.take(EVERYTHING) == more


def test_passes_are_short_while_others_come_and_long_while_nobody_does(clock):
    queue = queue_of(clock)
    queue.put_bulk(images(100))
    assert len(queue.take(EVERYTHING)) == LONG_S / IMAGE_S
    queue.put(text())
    queue.take(EVERYTHING)
    assert len(queue.take(EVERYTHING)) == SHORT_S / IMAGE_S
    clock.now += QUIET_S + 0.1
    assert len(queue.take(EVERYTHING)) == LONG_S / IMAGE_S


def test_passes_are_short_while_others_come_to_another_model_on_the_same_cores(clock):
    other = queue_of(clock)
    queue = BatchQueue({"text": COST, "image": COST}, lambda _modality, _depth: None, 1, clock, other.came_at)
    queue.put_bulk(images(200))
    long = len(queue.take(EVERYTHING))
    other.put(text())
    assert len(queue.take(EVERYTHING)) < long
    clock.now += QUIET_S + 0.1
    assert len(queue.take(EVERYTHING)) == long


def test_one_image_is_a_pass_however_long_that_takes(clock):
    queue = BatchQueue({"text": COST, "image": PassCost(1.0, 2.0)}, lambda _modality, _depth: None, 1, clock)
    queue.put_bulk(images(3))
    assert len(queue.take(EVERYTHING)) == 1


def test_a_pass_holds_no_more_than_fits_into_memory(clock):
    queue = queue_of(clock)
    queue.put_bulk(images(30))
    assert len(queue.take(EVERYTHING | {"image": 4})) == 4


def test_under_constant_load_it_is_owed_a_pass_now_and_then(clock):
    queue, bulk = queue_of(clock), images(10)
    queue.put_bulk(bulk)
    queue.put(text())
    taken = []
    for _ in range(31):
        clock.now += OWED_S / 10
        queue.put(text())
        taken.append(queue.take(EVERYTHING)[0].item.modality)
    assert taken.count("image") == 2


def test_a_taker_stays_free_for_others_while_they_come(clock):
    queue = queue_of(clock, takers=2)
    queue.put_bulk(images(20))
    queue.put(search := text())
    assert queue.take(EVERYTHING) == [search]
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        assert len(one.submit(queue.take, EVERYTHING).result(PATIENCE_S)) == SHORT_S / IMAGE_S
        free = other.submit(queue.take, EVERYTHING)
        wait_until(lambda: queue._idle == 1)
        queue.put(search := text())
        assert free.result(PATIENCE_S) == [search]
        assert len(one.submit(queue.take, EVERYTHING).result(PATIENCE_S)) == SHORT_S / IMAGE_S  # its pass is over: the next


def test_while_nobody_comes_every_taker_does_bulk_work(clock):
    queue = queue_of(clock, takers=2)
    queue.put_bulk(images(100))
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        for taker in (one, other):
            assert len(taker.submit(queue.take, EVERYTHING).result(PATIENCE_S)) == LONG_S / IMAGE_S


def prepared(number):
    preprocessor = FakePreprocessor()
    return [preprocessor.prepare_image(np.full((16, 16, 3), shade, dtype=np.uint8)) for shade in range(1, number + 1)]


class PoisonedEncoder(FakeEncoder):
    poison = None
    gate = None

    def embed(self, items):
        if self.gate is not None:
            assert self.gate.wait(PATIENCE_S)
        if any(item is self.poison for item in items):
            raise NonFiniteVector
        return super().embed(items)


@pytest.fixture
def encoder():
    return PoisonedEncoder()


@pytest.fixture
def shared(encoder):
    shared = BatchingEncoder(encoder, Metrics(), costs={"text": COST, "image": COST})
    yield shared
    shared.close()


def test_the_vectors_are_those_of_the_encoder_in_order(shared, encoder):
    items = prepared(70)
    bulk = BulkEncoder(shared)
    np.testing.assert_array_equal(bulk.embed(items), encoder.embed(items))
    assert (bulk.model, bulk.concurrency) == (encoder.model, encoder.concurrency)


def test_one_bad_image_fails_its_call_and_nobody_elses(shared, encoder):
    items = prepared(4)
    encoder.poison = items[2]
    with pytest.raises(NonFiniteVector):
        shared.embed_bulk(items)
    assert len(shared.embed_bulk(items[:2])) == 2


def test_what_waits_is_refused_when_the_model_is_closed(shared, encoder):
    encoder.gate = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(shared.embed_bulk, prepared(70))
        wait_until(lambda: shared._queue._under_way)
        closing = threading.Thread(target=shared.close)
        closing.start()
        wait_until(lambda: shared._queue.closed)
        encoder.gate.set()
        closing.join(PATIENCE_S)
        with pytest.raises(ModelUnavailable, match="shutting down"):
            waiting.result(PATIENCE_S)
    with pytest.raises(ModelUnavailable):
        shared.embed_bulk(prepared(1))


def test_the_depth_of_the_bulk_lane_is_told(clock):
    depths = []
    queue = BatchQueue({"text": COST, "image": COST}, lambda *told: depths.append(told), 1, clock)
    queue.put_bulk(images(3))
    queue.put_bulk(images(2))
    queue.take(EVERYTHING)
    queue.put_bulk(images(4))
    queue.close()
    assert [depth for lane, depth in depths if lane == "bulk"] == [3, 5, 0, 4, 0]
