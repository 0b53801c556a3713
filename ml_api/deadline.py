"""The deadline of a request, passed along with it: every wait on its way is limited to the time left."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from time import perf_counter

from ml_api.errors import DeadlineExceeded


@dataclass(frozen=True, slots=True, order=True)
class Deadline:
    """A point in time; deadlines compare by it."""

    at: float
    """On the clock of `perf_counter`."""
    timeout_s: float = field(compare=False)
    """The original timeout, for messages."""

    @classmethod
    def within(cls, timeout_s: float, since: float | None = None) -> "Deadline":
        """`timeout_s` seconds after `since` (on the clock of `perf_counter`), by default after now."""
        return cls((perf_counter() if since is None else since) + timeout_s, timeout_s)

    @property
    def passed(self) -> bool:
        return perf_counter() >= self.at

    def left_s(self) -> float:
        """The time left in seconds, always more than 0. Raises DeadlineExceeded if it has passed."""
        left = self.at - perf_counter()
        if left <= 0:
            raise self.exceeded()
        return left

    def exceeded(self) -> DeadlineExceeded:
        return DeadlineExceeded(f"the answer was not ready within {self.timeout_s:g} s")


@contextmanager
def held(lock: Lock, deadline: Deadline | None) -> Iterator[None]:
    """Hold `lock`. Raises DeadlineExceeded if others hold it until the deadline."""
    if not lock.acquire(timeout=-1 if deadline is None else deadline.left_s()):
        assert deadline is not None
        raise deadline.exceeded()
    try:
        yield
    finally:
        lock.release()
