"""A lock for the writers of this process to SQLite, which allows one writer at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition
from time import perf_counter
from typing import Final

from ml_api.deadline import Deadline
from ml_api.errors import DatabaseUnavailable

TIMEOUT_S: Final = 5
"""Longest wait for the lock, and then for the transaction of another process."""
LEAST_S: Final = 0.25
"""A writer waits for this time even if its deadline has passed, so that a free database never refuses a write."""
PATIENT: Final = 8
"""Writers that keep waiting when the holder is stuck."""
STUCK_S: Final = 1.0
"""A holder is stuck after this time; further writers are refused: each would hold a request thread, which searches need."""


class WriteLock:
    """A waiting writer has no connection to the database yet."""

    def __init__(self, location: str) -> None:
        """`location`: of the database, for messages."""
        self._location = location
        self._changed = Condition()
        self._waiting = 0
        self._since: float | None = None
        """When the current holder acquired the lock."""

    @contextmanager
    def held(self, deadline: Deadline | None) -> Iterator[float]:
        """Hold the lock; the value is the time that is left to wait for another process. Raises DatabaseUnavailable."""
        until = Deadline.within(TIMEOUT_S)
        if deadline is not None:
            until = min(until, max(deadline, Deadline.within(LEAST_S)))
        with self._changed:
            if not self._wait(until.at):
                self._changed.notify()  # this thread may have taken the notification
                raise DatabaseUnavailable(f"The database {self._location} does not answer (others are writing).")
            self._since = perf_counter()
        try:
            yield max(0.0, until.at - perf_counter())
        finally:
            with self._changed:
                self._since = None
                self._changed.notify()

    def _wait(self, until: float) -> bool:
        """Wait for the lock; returns whether it is free in time."""
        is_patient = self._waiting < PATIENT
        self._waiting += 1
        try:
            while self._since is not None:
                left_s = (until if is_patient else min(until, self._since + STUCK_S)) - perf_counter()
                if left_s <= 0:
                    return False
                self._changed.wait(left_s)
            return perf_counter() < until
        finally:
            self._waiting -= 1
