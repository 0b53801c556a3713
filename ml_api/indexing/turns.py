"""Whose turn it is among uploads and deletions, whichever model they began with: a key has one file, and threads are few."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, Lock
from typing import Final

from ml_api.deadline import Deadline, held

LOCKS: Final = 256
"""Uploads at once, of different keys as a rule."""
LEAST_S: Final = 0.25
"""An upload whose time is up waits so long for its turn all the same: a key that is free refuses nobody."""


class Turns:
    def __init__(self, waiting: int = 16) -> None:
        """At most so many callers are `waiting` for the index at once: each holds a thread, which searches would lack."""
        self.waiting = BoundedSemaphore(waiting)
        self._locks = [Lock() for _ in range(LOCKS)]
        """One for many keys. Whoever writes first is noted first: else the image of one had the metadata of the other. What a
        change depends on cannot change between a look and the change."""

    @contextmanager
    def of(self, key: str, deadline: Deadline) -> Iterator[None]:
        """Raises DeadlineExceeded."""
        with held(self._locks[hash(key) % LOCKS], max(deadline, Deadline.within(LEAST_S))):
            yield
