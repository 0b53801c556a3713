"""Limits the rate of repeated log lines: at most one a second of each kind, with the number of occurrences.

In an outage every request fails in the same way, and a traceback for each would fill a disk within an hour. Used wherever clients
or outages can cause many equal lines.
"""

import logging
import threading
from dataclasses import dataclass
from typing import Final

EVERY_S: Final = 1.0
TIMES: Final = "ml_api.times"


@dataclass(slots=True)
class _Line:
    message: str
    """The latest message of the kind."""
    level: int
    times: int = 0


class LogThrottle:
    """Logs the first message of a kind at once, and sums up those that follow within `every_s`. There should be few kinds.
    Thread-safe."""

    def __init__(self, log: logging.Logger, every_s: float = EVERY_S) -> None:
        self._log = log
        self._every_s = every_s
        self._lock = threading.Lock()
        self._lines: dict[str, _Line] = {}
        """The kinds that were logged within the last `every_s`."""

    def log(self, kind: str, message: str, level: int, error: BaseException | None = None) -> None:
        """Log or count a message. Messages of one `kind` are counted together, even if their texts differ.

        `error`, with its traceback, is logged with the first line only.
        """
        with self._lock:
            if line := self._lines.get(kind):
                line.message = message
                line.times += 1
                return
            self._lines[kind] = _Line(message, level)
        self._log.log(level, "%s", message, extra={TIMES: 1}, exc_info=error)
        self._start(kind)

    def _start(self, kind: str) -> None:
        timer = threading.Timer(self._every_s, self._sum_up, [kind])
        timer.daemon = True
        try:
            timer.start()
        except RuntimeError:  # no thread is available, or the interpreter ends: the next message of this kind is logged at once
            with self._lock:
                del self._lines[kind]

    def _sum_up(self, kind: str) -> None:
        with self._lock:
            line = self._lines[kind]
            message, times, line.times = line.message, line.times, 0
            if not times:
                del self._lines[kind]
        if times:
            self._log.log(line.level, "%s (%d times)", message, times, extra={TIMES: times})
            self._start(kind)
