"""Who may decode now, by slots, by memory, and in which order."""

import threading
from time import perf_counter

import pytest

from ml_api.errors import Overloaded
from ml_api.images.processes.slots import SMALL_BYTES, Slots
from tests.waiting import wait_until

MIB = 2**20


def soon():
    return perf_counter() + 20


def at_once():
    return perf_counter()


def waiting(slots, entered, name, size=MIB, *, background=False):
    """A thread that waits for a slot, already in the queue, and then says its name and releases it."""

    def wait():
        slot = slots.acquire(size, soon(), background=background)
        entered.append(name)
        slots.release(slot)

    before = len(slots._waiting)
    thread = threading.Thread(target=wait)
    thread.start()
    wait_until(lambda: len(slots._waiting) > before)
    return thread


def test_so_many_at_once():
    slots = Slots(2, 1024 * MIB, 4)
    held = [slots.acquire(MIB, at_once(), background=False) for _ in range(2)]
    with pytest.raises(Overloaded):
        slots.acquire(MIB, at_once(), background=False)
    slots.release(held[0])
    slots.acquire(MIB, at_once(), background=False)


def test_so_many_bytes_at_once():
    slots = Slots(4, 256 * MIB, 4)
    slot = slots.acquire(200 * MIB, at_once(), background=False)
    with pytest.raises(Overloaded):
        slots.acquire(57 * MIB, at_once(), background=False)
    slots.acquire(56 * MIB, at_once(), background=False)
    assert slots.held_bytes() == 256 * MIB
    slots.release(slot)
    slots.acquire(200 * MIB, at_once(), background=False)


def test_requests_come_before_syncs_and_small_images_before_big_ones():
    slots, entered = Slots(1, 1024 * MIB, 4), []
    slot = slots.acquire(MIB, at_once(), background=False)
    threads = [
        waiting(slots, entered, "small of a sync", background=True),
        waiting(slots, entered, "big", SMALL_BYTES + 1),
        waiting(slots, entered, "small"),
        waiting(slots, entered, "small, later"),
    ]
    slots.release(slot)
    for thread in threads:
        thread.join(20)

    assert entered == ["small", "small, later", "big", "small of a sync"]


def test_while_others_wait_an_image_has_a_fair_share_of_the_time():
    slots, entered = Slots(1, 1024 * MIB, 4), []
    slot = slots.acquire(MIB, at_once(), background=False)
    assert slots.share_s(slot) == 4
    sync = waiting(slots, entered, "sync", background=True)
    assert slots.share_s(slot) == 4
    request = waiting(slots, entered, "request")
    assert slots.share_s(slot) == 2
    slots.release(slot)
    request.join(20)
    sync.join(20)


def test_who_would_wait_in_vain_is_told_at_once():
    slots, entered = Slots(1, 1024 * MIB, 4), []
    for _ in range(100):
        slot = slots.acquire(MIB, at_once(), background=False)
        slot.started -= 15  # it was held for so long
        slots.release(slot)
    slot = slots.acquire(MIB, at_once(), background=False)
    first, second = waiting(slots, entered, "first"), waiting(slots, entered, "second")
    started = perf_counter()
    with pytest.raises(Overloaded):
        slots.acquire(MIB, soon(), background=False)
    assert perf_counter() - started < 10
    slots.release(slot)
    first.join(20)
    second.join(20)
