"""The turns of writers to SQLite, which lets one write at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition
from time import perf_counter
from typing import Final

from ml_api.deadline import Deadline
from ml_api.errors import DatabaseUnavailable

TIMEOUT_S: Final = 5
"""For a turn, and then for another process's transaction to end."""
LEAST_S: Final = 0.25
"""A writer whose time is up waits so long all the same: a database that is free refuses nobody."""
PATIENT: Final = 8
"""Writers that go on waiting when nothing moves."""
STUCK_S: Final = 1.0
"""When a turn has taken so long, nothing moves: other writers are refused. Each would hold a thread, which searches would lack."""


class Turns:
    """Of the writers in this process. Whoever waits for a turn has no connection yet."""

    def __init__(self, location: str) -> None:
        """`location` of the database is for messages."""
        self._location = location
        self._changed = Condition()
        self._waiting = 0
        self._since: float | None = None
        """When the present turn began."""

    @contextmanager
    def taken(self, deadline: Deadline | None) -> Iterator[float]:
        """A turn; how long it may go on waiting, for another process. Raises DatabaseUnavailable."""
        until = Deadline.within(TIMEOUT_S)
        if deadline is not None:
            until = min(until, max(deadline, Deadline.within(LEAST_S)))
        with self._changed:
            if not self._wait(until.at):
                self._changed.notify()  # it may have been told that it is its turn
                raise DatabaseUnavailable(f"The database {self._location} does not answer (others are writing).")
            self._since = perf_counter()
        try:
            yield max(0.0, until.at - perf_counter())
        finally:
            with self._changed:
                self._since = None
                self._changed.notify()

    def _wait(self, until: float) -> bool:
        """For the turn of another to end; whether it has in time."""
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
