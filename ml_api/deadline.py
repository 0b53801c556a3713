"""By when an answer is wanted. Passed along with a request, so that every wait on its way knows how long it may still take."""

from dataclasses import dataclass, field
from time import perf_counter

from ml_api.errors import DeadlineExceeded


@dataclass(frozen=True, slots=True, order=True)
class Deadline:
    """A moment; of two, the later is the greater."""

    at: float
    """On the clock of `perf_counter`."""
    timeout_s: float = field(compare=False)
    """How long it was away when it was set, for people."""

    @classmethod
    def within(cls, timeout_s: float, since: float | None = None) -> "Deadline":
        """So many seconds after `since`, a moment on the clock of `perf_counter`; after now if there is none."""
        return cls((perf_counter() if since is None else since) + timeout_s, timeout_s)

    @property
    def passed(self) -> bool:
        return perf_counter() >= self.at

    def left_s(self) -> float:
        """How long one may still wait, always more than 0. Raises DeadlineExceeded if it has passed."""
        left = self.at - perf_counter()
        if left <= 0:
            raise self.exceeded()
        return left

    def exceeded(self) -> DeadlineExceeded:
        return DeadlineExceeded(f"the answer was not ready within {self.timeout_s:g} s")
