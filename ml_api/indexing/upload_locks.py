"""Locks for uploads and deletions, shared by the engines of all models: one writer for each key, few waiters for the index."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, Lock
from typing import Final

from ml_api.deadline import Deadline, held

LOCKS: Final = 256
"""Uploads at once, of different keys as a rule."""
LEAST_S: Final = 0.25
"""An upload waits for this time even if its deadline has passed, so that a free key is never refused."""


class UploadLocks:
    def __init__(self, waiters: int = 16) -> None:
        """At most `waiters` callers wait for the index at once: each of them holds a request thread, which searches would lack."""
        self.waiters = BoundedSemaphore(waiters)
        self._locks = [Lock() for _ in range(LOCKS)]
        """Each for many keys. Between the check of a precondition and the change, no other change comes; and changes are noted in
        the order of the writes, so that an image never gets the metadata of another upload."""

    @contextmanager
    def held(self, key: str, deadline: Deadline) -> Iterator[None]:
        """The only writer of `key` in this process. Raises DeadlineExceeded."""
        with held(self._locks[hash(key) % LOCKS], max(deadline, Deadline.within(LEAST_S))):
            yield
