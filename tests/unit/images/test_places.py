"""Who may decode now, by places, by memory, and in which order."""

import threading
from time import perf_counter

import pytest

from ml_api.errors import Overloaded
from ml_api.images.processes.places import SMALL_BYTES, Places

MIB = 2**20


def soon():
    return perf_counter() + 20


def at_once():
    return perf_counter()


def waiting(places, entered, name, size=MIB, *, background=False):
    """A thread that waits for a place, already in the line, and then says its name and gives it on."""

    def wait():
        turn = places.take(size, soon(), background=background)
        entered.append(name)
        places.give_back(turn)

    before = len(places._waiting)
    thread = threading.Thread(target=wait)
    thread.start()
    while len(places._waiting) == before:
        pass
    return thread


def test_so_many_at_once():
    places = Places(2, 1024 * MIB, 4)
    turns = [places.take(MIB, at_once(), background=False) for _ in range(2)]
    with pytest.raises(Overloaded):
        places.take(MIB, at_once(), background=False)
    places.give_back(turns[0])
    places.take(MIB, at_once(), background=False)


def test_so_many_bytes_at_once():
    places = Places(4, 256 * MIB, 4)
    turn = places.take(200 * MIB, at_once(), background=False)
    with pytest.raises(Overloaded):
        places.take(57 * MIB, at_once(), background=False)
    places.take(56 * MIB, at_once(), background=False)
    assert places.taken_bytes() == 256 * MIB
    places.give_back(turn)
    places.take(200 * MIB, at_once(), background=False)


def test_requests_come_before_syncs_and_small_images_before_big_ones():
    places, entered = Places(1, 1024 * MIB, 4), []
    turn = places.take(MIB, at_once(), background=False)
    threads = [
        waiting(places, entered, "small of a sync", background=True),
        waiting(places, entered, "big", SMALL_BYTES + 1),
        waiting(places, entered, "small"),
        waiting(places, entered, "small, later"),
    ]
    places.give_back(turn)
    for thread in threads:
        thread.join(20)

    assert entered == ["small", "small, later", "big", "small of a sync"]


def test_while_others_wait_an_image_has_a_fair_share_of_the_time():
    places, entered = Places(1, 1024 * MIB, 4), []
    turn = places.take(MIB, at_once(), background=False)
    assert places.share_s(turn) == 4
    sync = waiting(places, entered, "sync", background=True)
    assert places.share_s(turn) == 4
    request = waiting(places, entered, "request")
    assert places.share_s(turn) == 2
    places.give_back(turn)
    request.join(20)
    sync.join(20)


def test_who_would_wait_in_vain_is_told_at_once():
    places, entered = Places(1, 1024 * MIB, 4), []
    for _ in range(100):
        turn = places.take(MIB, at_once(), background=False)
        turn.started -= 15  # it held its place for so long
        places.give_back(turn)
    turn = places.take(MIB, at_once(), background=False)
    first, second = waiting(places, entered, "first"), waiting(places, entered, "second")
    started = perf_counter()
    with pytest.raises(Overloaded):
        places.take(MIB, soon(), background=False)
    assert perf_counter() - started < 10
    places.give_back(turn)
    first.join(20)
    second.join(20)
