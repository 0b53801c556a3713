"""Which inputs go through the model together: the oldest always, and company that wastes little on padding."""

import random
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager

import numpy as np
import pytest

from ml_api.embedding.base import Prepared
from ml_api.embedding.batching.costs import MAX_BATCH, PassCost, units
from ml_api.embedding.batching.queue import BatchQueue, Waiting, choose
from tests.waiting import wait_until

COST = PassCost(fixed_s=0.010, per_unit_s=0.001)
"""A pass by itself costs as much as ten tokens."""
PATIENCE_S = 30
EVERYTHING = {"text": MAX_BATCH, "image": MAX_BATCH}


def text(length, deadline=float("inf")):
    return Waiting(Prepared("text", np.zeros(length, dtype=np.int64)), deadline)


def image():
    return Waiting(Prepared("image", np.zeros((3, 8, 8), dtype=np.float32)), float("inf"))


def lengths(batch):
    return [units(waiting.item) for waiting in batch]


def new_queue(*waiting):
    queue = BatchQueue({"text": COST, "image": COST}, lambda _modality, _depth: None)
    for one in waiting:
        queue.put(one)
    return queue


def test_short_texts_go_with_short_ones():
    batch = choose([text(length) for length in (5, 77, 6, 70, 8, 5)], COST, MAX_BATCH)

    assert sorted(lengths(batch)) == [5, 5, 6, 8]


def test_a_long_text_takes_along_what_is_nearly_as_long():
    batch = choose([text(length) for length in (77, 5, 70, 68, 66)], COST, MAX_BATCH)

    assert lengths(batch) == [77, 70, 68]


def test_all_images_cost_the_same():
    assert len(choose([image() for _ in range(20)], COST, 16)) == 16


def test_those_who_wait_for_inputs_share_them():
    queue = new_queue()
    with ThreadPoolExecutor(3) as pool:
        takers = [pool.submit(queue.take, EVERYTHING) for _ in range(3)]
        wait_until(lambda: queue._idle == 3)
        with queue._changed:  # as if all came in the same moment
            for _ in range(12):
                queue.put(text(7))
        assert sorted(len(taker.result(PATIENCE_S)) for taker in takers) == [4, 4, 4]


def test_a_few_are_not_shared_but_go_together():
    """Three of 7 tokens are 21, twice the ten that a pass costs by itself: the fixed part is a third."""
    queue = new_queue()
    with ThreadPoolExecutor(2) as pool:
        takers = [pool.submit(queue.take, EVERYTHING) for _ in range(2)]
        wait_until(lambda: queue._idle == 2)
        queue.put(*(text(7) for _ in range(3)))

        [first] = wait(takers, PATIENCE_S, FIRST_COMPLETED).done
        assert len(first.result()) == 3
        queue.close()


@contextmanager
def another_taker():
    """A queue of which this thread has a text under way, and what another that waits for inputs takes."""
    queue = new_queue(text(7))
    with ThreadPoolExecutor(1) as pool:
        assert len(queue.take(EVERYTHING)) == 1
        beside = pool.submit(queue.take, EVERYTHING)
        wait_until(lambda: queue._idle == 1)
        yield queue, beside


def test_a_few_wait_together_until_the_pass_that_is_under_way_ends():
    with another_taker() as (queue, beside):
        queue.put(text(7))
        queue.put(text(7))
        assert len(queue.take(EVERYTHING)) == 2

        queue.put(text(7), text(7), text(7))
        assert len(beside.result(PATIENCE_S)) == 3, "enough for a pass beside the other"


def test_what_is_of_another_kind_does_not_wait_for_a_pass_to_end():
    picture = image()
    with another_taker() as (queue, beside):
        queue.put(text(7))
        queue.put(picture)

        assert beside.result(PATIENCE_S) == [picture]


def test_when_a_pass_of_another_kind_follows_those_who_waited_are_taken():
    older = image()
    with another_taker() as (queue, beside):
        younger = text(7)
        queue.put(younger)
        assert not beside.done()
        older.since = younger.since - 1
        with queue._changed:
            queue._queues["image"].append(older)

        assert queue.take(EVERYTHING) == [older]
        assert beside.result(PATIENCE_S) == [younger]


def test_who_is_alone_takes_all():
    assert len(new_queue(*(text(7) for _ in range(8))).take(EVERYTHING)) == 8


def test_equal_lengths_keep_their_order_of_arrival():
    waiting = [text(7) for _ in range(10)]

    assert choose(waiting, COST, 4) == waiting[:4]


@pytest.mark.parametrize("seed", range(20))
def test_the_oldest_is_in_every_batch_and_no_batch_pads_for_more_than_its_passes_would_cost(seed):
    rng = random.Random(seed)
    waiting = [text(rng.randint(3, 77)) for _ in range(60)]
    queue = new_queue(*waiting)

    for number in range(len(waiting)):
        left = [one for one in waiting if not one.answer.running()]
        if not left:
            assert number < len(waiting), "something was batched"
            return
        batch = queue.take(EVERYTHING)
        assert left[0] in batch
        padding = sum(max(lengths(batch)) - length for length in lengths(batch))
        assert padding <= COST.spare_units * (len(batch) - 1)
    pytest.fail("nothing ever went together")


def test_a_stream_of_short_texts_does_not_starve_a_long_one():
    queue = new_queue(text(5), *(text(5) for _ in range(3)))
    long = text(77)
    queue.put(long)
    for _ in range(30):
        queue.put(text(5))

    queue.take({"text": 4, "image": 4})
    assert long in queue.take({"text": 4, "image": 4})


def test_dear_inputs_make_small_batches():
    cheap, dear = PassCost(0.1, 0.001), PassCost(0.001, 0.1)

    assert len(choose([image() for _ in range(100)], cheap, MAX_BATCH)) == MAX_BATCH
    assert len(choose([image() for _ in range(100)], dear, MAX_BATCH)) == 1


def test_what_is_late_is_not_taken():
    late, on_time = text(5, deadline=0), text(5)

    assert new_queue(late, on_time).take(EVERYTHING) == [on_time]
    assert not late.answer.running()


def test_a_long_queue_is_considered_from_its_old_end():
    waiting = [text(5) for _ in range(600)]
    queue = new_queue(*waiting)

    taken = [one for _ in range(10) for one in queue.take(EVERYTHING)]
    while len(taken) < len(waiting):
        taken += queue.take(EVERYTHING)
    assert taken == waiting
