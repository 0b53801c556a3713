"""A lock that many threads may share, or one may hold exclusively, with a timeout; and the error after the timeout."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ml_api.errors import StoreUnavailable


class SharedLock:
    """A shared lock in which waiting exclusive holders have priority, so that a stream of shared holders cannot starve them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._sharers = 0
        self._alone = False
        self._waiting = 0

    @contextmanager
    def shared(self, timeout_s: float) -> Iterator[None]:
        """Hold the lock beside other sharers. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._alone and not self._waiting, timeout_s):
                raise TimeoutError
            self._sharers += 1
        try:
            yield
        finally:
            with self._changed:
                self._sharers -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self, timeout_s: float) -> Iterator[None]:
        """Hold the lock exclusively. Raises TimeoutError."""
        with self._changed:
            self._waiting += 1
            try:
                if not self._changed.wait_for(lambda: not self._alone and not self._sharers, timeout_s):
                    raise TimeoutError
                self._alone = True
            finally:
                self._waiting -= 1
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._alone = False
                self._changed.notify_all()


@contextmanager
def patient(reason: str, timeout_s: float) -> Iterator[None]:
    """Turn a TimeoutError into StoreUnavailable; `reason` says what was waited for, for `timeout_s` seconds."""
    try:
        yield
    except TimeoutError:
        raise StoreUnavailable(f"the vector store is busy: {reason} after {timeout_s:.3g} s", reason="timeout") from None
