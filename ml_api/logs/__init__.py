"""Configures logging: each record is one line, with field names of the Elastic Common Schema and the ids of its requests."""

import logging
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, TextIO

from ml_api.logs.fields import FIELDS, fields_table
from ml_api.logs.formatting import SECRET, SECRET_PREFIX, EcsFormatter, TerminalFormatter, level_of, without_secrets

__all__ = [
    "FIELDS",
    "SECRET",
    "SECRET_PREFIX",
    "EcsFormatter",
    "configure",
    "counting",
    "fields_table",
    "level_of",
    "without_secrets",
]

OUR_LOGGERS = ("ml_api", "demo", "_granian")
"""Loggers with the configured level; libraries log warnings and errors only."""
PATIENCE_S: Final = 1.0
"""How long a line waits for a reader; those that follow one that waited in vain do not wait."""
MISSING: Final = "%d lines of the log are missing here: they could not be written"


def configure(level: str, environment: str, stream: TextIO | None = None) -> None:
    """Send every logger of the process through one handler: short lines on a terminal, JSON elsewhere."""
    stream = stream or sys.stdout
    handler = _StreamHandler(stream)
    handler.setFormatter(TerminalFormatter() if stream.isatty() else EcsFormatter(environment))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in OUR_LOGGERS:
        logging.getLogger(name).setLevel(level.upper())
    # Milvus Lite's server logs a traceback for each call that it does not implement; pymilvus handles these, and failures raise.
    for name in ("grpc._server", "milvus_lite"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.captureWarnings(capture=True)


@contextmanager
def counting(count: Callable[[str], None]) -> Iterator[None]:
    """Call `count` with the level of each record that is written, until the context ends."""
    handler = _Counting(count)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)


class _StreamHandler(logging.StreamHandler[TextIO]):
    """Holds up the service for PATIENCE_S at most, and then drops lines until they can be written again: a pipe that is not read, a
    reader that has ended, a full disk. It says so once, and how many lines are missing at the place where they are."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        if not _takes_lines(self.stream, 0 if self._dropped else PATIENCE_S):
            self._drop("its reader does not read")
            return
        if dropped := self._dropped:
            super().emit(logging.LogRecord(__name__, logging.WARNING, __file__, 0, MISSING, (dropped,), None))
            if self._dropped != dropped:
                return
            self._dropped = 0
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the standard library's name
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            self._drop(error.strerror or type(error).__name__)
        else:
            super().handleError(record)

    def _drop(self, why: str) -> None:
        self._dropped += 1
        if self._dropped == 1 and _takes_lines(sys.stderr, 0):
            with suppress(OSError):
                print(f"the log cannot be written: {why}; lines are dropped until it can", file=sys.stderr)  # noqa: T201


def _takes_lines(stream: TextIO, timeout_s: float) -> bool:
    """Whether a line of 4 KiB can be written without a wait, or fails at once. What is no file takes all."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(1000 * timeout_s))


class _Counting(logging.Handler):
    def __init__(self, count: Callable[[str], None]) -> None:
        super().__init__()
        self._count = count

    def emit(self, record: logging.LogRecord) -> None:
        self._count(level_of(record))
