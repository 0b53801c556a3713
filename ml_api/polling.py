"""Something done now and then in a thread of its own, as long as its owner lives."""

import logging
import threading
from collections.abc import Callable

CLOSE_TIMEOUT_S = 2.0

_log = logging.getLogger(__name__)


class Poll:
    """Calls `look` at once and then every `every_s` seconds, until closed.

    `look` bounds its own waits; what it raises is logged, and the next one may do better.
    """

    def __init__(self, name: str, look: Callable[[], object], every_s: float) -> None:
        self._look = look
        self._every_s = every_s
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Look no more; a look that is under way is waited for, though not long. Safe to call twice."""
        self._closed.set()
        self._thread.join(CLOSE_TIMEOUT_S)

    def _run(self) -> None:
        while True:
            try:
                self._look()
            except Exception:  # noqa: BLE001 - whatever goes wrong with one look, there will be a next
                _log.exception("%s failed", self._thread.name)
            if self._closed.wait(self._every_s):
                return
