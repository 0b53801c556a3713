"""Whose connection is closed when no more fit, over real sockets."""

import asyncio
import resource
import select
import socket
import struct
from contextlib import ExitStack

import pytest

from ml_api.serving.reaper import ConnectionReaper, open_descriptors
from tests import event_loop

PATIENCE_S = 20


class Listening:
    """A server that has accepted some connections, in that order, and leaves one waiting."""

    def __init__(self, stack, count, family=socket.AF_INET):
        host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
        self.socket = stack.enter_context(socket.create_server((host, 0), family=family))
        self.port = self.socket.getsockname()[1]
        self.clients, self.accepted = [], []
        for _ in range(count):
            self.clients.append(stack.enter_context(socket.create_connection((host, self.port))))
            self.accepted.append(stack.enter_context(self.socket.accept()[0]))
        self.late = stack.enter_context(socket.create_connection((host, self.port)))

    def closed(self):
        """The numbers of the clients that have been hung up on."""
        ready, _, _ = select.select(self.clients, [], [], 0)
        return [self.clients.index(client) for client in ready]


def idle_ms(connection):
    """`last_data_recv` of `struct tcp_info`."""
    return struct.unpack_from("52x I", connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 56))[0]


@pytest.fixture
def stack():
    with ExitStack() as stack:
        yield stack


def run(reaper, condition):
    """Until it holds, or in vain."""

    async def scenario():
        reaping = asyncio.create_task(reaper.run())
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not condition():  # noqa: ASYNC110 - what is waited for happens in the kernel
                    await asyncio.sleep(0.01)
        finally:
            reaping.cancel()

    event_loop.run(scenario())


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
def test_the_one_that_was_idle_for_longest_makes_room(stack, family):
    server = Listening(stack, 4, family)
    while idle_ms(server.accepted[1]) < 20:  # the kernel's clock has steps of some milliseconds
        select.select([], [], [], 0.001)
    for client in server.clients[:1] + server.clients[2:]:
        client.sendall(b"x")
    run(ConnectionReaper(server.port, 4, {}), server.closed)
    assert server.closed() == [1]


def test_who_is_being_answered_keeps_the_connection(stack):
    server = Listening(stack, 4)
    busy = {client.getsockname()[1] for client in server.clients[:3]}
    run(ConnectionReaper(server.port, 4, busy), server.closed)
    assert server.closed() == [3]


def test_it_keeps_no_socket(stack):
    """A copy of the listening one would go on accepting after a stop."""
    server = Listening(stack, 4)
    run(ConnectionReaper(server.port, 4, {}), server.closed)
    server.socket.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), PATIENCE_S).close()


def test_nobody_goes_while_there_is_room(stack):
    """Who waits to be accepted waits for a busy machine then."""
    server = Listening(stack, 4)
    looks = iter(range(60))
    run(ConnectionReaper(server.port, 5, {}), lambda: next(looks) > 50)
    assert not server.closed()


def test_there_is_no_room_without_descriptors_either(stack):
    server = Listening(stack, 4)
    reaper = ConnectionReaper(server.port, 1000, {})
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = []
    try:

        def is_relieved():  # within the event loop, which needs some descriptors of its own
            if not taken:
                resource.setrlimit(resource.RLIMIT_NOFILE, (max(server.socket.fileno(), server.late.fileno()) + 40, before[1]))
                take_all(stack, taken)
            return server.closed()

        run(reaper, is_relieved)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert server.closed()


def test_only_numbers_in_use_are_looked_at_whatever_their_limit(stack):
    """Under Docker the limit is often a million, and each sweep held up all threads for as many steps."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    one = stack.enter_context(socket.socket())
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    try:
        found = set(open_descriptors())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert one.fileno() in found
    assert len(found) < before[1] // 2


def take_all(stack, taken):
    while True:
        try:
            taken.append(stack.enter_context(socket.socket()))
        except OSError:
            return
