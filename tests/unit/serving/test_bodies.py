"""Bodies share a budget of memory: nobody holds it by sending slowly, and small ones need none of it."""

import asyncio

import pytest

from ml_api.errors import MlApiError, Overloaded
from ml_api.serving.bodies import BUFFERED_BYTES, SMALL_BYTES, Bodies
from tests import event_loop

MIB = 2**20
LARGE = 32 * MIB
PATIENCE_S = 20


class Upload:
    """One body, sent by the test bit by bit."""

    def __init__(self, bodies):
        self._messages = asyncio.Queue()
        self._taken = asyncio.Event()
        self.task = asyncio.create_task(bodies.read(self._receive))

    async def _receive(self):
        self._taken.set()
        return await self._messages.get()

    async def send(self, size, *, last=False):
        """Returns when the reader has taken it, or has ended."""
        await self._asked()
        self._messages.put_nowait({"type": "http.request", "body": bytes(size), "more_body": not last})
        self._taken.clear()
        if not last:
            await self._asked()

    async def _asked(self):
        asked = asyncio.create_task(self._taken.wait())
        await asyncio.wait({asked, self.task}, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()

    async def size(self):
        return len(await asyncio.wait_for(self.task, PATIENCE_S))


async def unfinished(bodies, number, size):
    uploads = [Upload(bodies) for _ in range(number)]
    for upload in uploads:
        await upload.send(size)
    return uploads


async def end(uploads):
    for upload in uploads:
        upload.task.cancel()
    return await asyncio.gather(*(upload.task for upload in uploads), return_exceptions=True)


async def body_of(bodies, size):
    upload = Upload(bodies)
    await upload.send(size, last=True)
    return await upload.size()


def test_large_bodies_without_an_end_keep_nobody_out():
    """Seven of 36 MB and one of what is left: with the budget full, a photograph is taken, and one of them has to go for it."""

    async def scenario():
        bodies = Bodies(40 * MIB)
        held = await unfinished(bodies, 7, 36 * MIB)
        held += await unfinished(bodies, 1, BUFFERED_BYTES - 7 * 36 * MIB)
        sizes = [await body_of(bodies, size) for size in (330, 60_000, SMALL_BYTES)]
        assert not any(upload.task.done() for upload in held), "small bodies cost nobody anything"
        sizes.append(await body_of(bodies, 12_000_000))
        with pytest.raises(Overloaded, match="fits in memory"):
            await held[0].size()
        left = [upload.task.done() for upload in held[1:]]
        await end(held)
        return sizes, left

    assert event_loop.run(scenario()) == ([330, 60_000, SMALL_BYTES, 12_000_000], [False] * 7)


def test_the_one_that_goes_is_the_slowest_and_not_the_oldest():
    async def scenario():
        bodies = Bodies(LARGE, buffered_bytes=8 * MIB)
        oldest, dripping, newest = await unfinished(bodies, 3, 2 * MIB)
        await oldest.send(MIB)
        for _ in range(10):
            await dripping.send(1)
        assert await body_of(bodies, 3 * MIB // 2) == 3 * MIB // 2
        with pytest.raises(Overloaded):
            await dripping.size()
        return [upload.task.done() for upload in (oldest, newest)], await end([oldest, newest])

    done, _ = event_loop.run(scenario())
    assert done == [False, False]


def test_parts_that_come_in_one_turn_of_the_loop_are_counted_once():
    """The second's part has arrived when the first's drops it."""

    async def scenario():
        bodies = Bodies(LARGE, buffered_bytes=4 * MIB)
        for _ in range(5):
            victim, other = await unfinished(bodies, 2, 2 * MIB)
            await asyncio.gather(other.send(MIB), victim.send(MIB))
            assert [type(one) for one in await end([other, victim])] == [asyncio.CancelledError, Overloaded]
        return await body_of(bodies, 4 * MIB)

    assert event_loop.run(scenario()) == 4 * MIB


def test_a_body_that_has_arrived_is_never_dropped():
    async def scenario():
        bodies = Bodies(LARGE, buffered_bytes=4 * MIB)
        assert await body_of(bodies, 3 * MIB) == 3 * MIB
        with pytest.raises(Overloaded):
            await body_of(bodies, 2 * MIB)
        bodies.release(bytes(3 * MIB))
        return await body_of(bodies, 4 * MIB)

    assert event_loop.run(scenario()) == 4 * MIB


def test_whatever_becomes_of_bodies_the_budget_is_whole_in_the_end():
    async def scenario():
        bodies = Bodies(4 * MIB, buffered_bytes=8 * MIB)
        for _ in range(3):
            uploads = await unfinished(bodies, 6, 2 * MIB)  # two of them are dropped
            await uploads[-1].send(3 * MIB)  # more than is allowed
            ends = await end(uploads)
            assert sum(isinstance(one, Overloaded) for one in ends) == 2
            assert any(not isinstance(one, (MlApiError, asyncio.CancelledError)) for one in ends), "and one was too large"
        held = await unfinished(bodies, 4, 2 * MIB)
        return [type(one) for one in await end(held)]

    assert event_loop.run(scenario()) == [asyncio.CancelledError] * 4
