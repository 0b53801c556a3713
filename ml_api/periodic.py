"""Runs a task repeatedly in a thread of its own."""

import logging
import threading
from collections.abc import Callable

CLOSE_TIMEOUT_S = 2.0

_log = logging.getLogger(__name__)


class PeriodicTask:
    """Calls `run` at once and then `every_s` seconds after each end, until closed.

    `run` bounds its own waits; what it raises is logged, and the next call may do better.
    """

    def __init__(self, name: str, run: Callable[[], object], every_s: float) -> None:
        self._run = run
        self._every_s = every_s
        self._closed = threading.Event()
        self._wanted = threading.Event()
        self._thread = threading.Thread(target=self._repeat, name=name, daemon=True)
        self._thread.start()

    def now(self) -> None:
        """Do not wait for the interval; a call under way is followed by another."""
        self._wanted.set()

    def close(self) -> None:
        """Call it no more; a call under way is waited for, though not long. Safe to call twice."""
        self._closed.set()
        self._wanted.set()
        self._thread.join(CLOSE_TIMEOUT_S)

    def _repeat(self) -> None:
        while True:
            try:
                self._run()
            except Exception:  # noqa: BLE001 - whatever goes wrong with one call, there will be a next
                _log.exception("%s failed", self._thread.name)
            self._wanted.wait(self._every_s)
            self._wanted.clear()  # before it is looked whether it is closed: `close` sets both, in the other order
            if self._closed.is_set():
                return
