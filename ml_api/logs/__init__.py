"""Configures logging: each record is one line, with field names of the Elastic Common Schema and the ids of its requests."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

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
    """Tells once, and not of each line with a traceback, that the stream cannot be written: its reader has ended, or its disk is
    full."""

    _is_failing = _failed = False

    def emit(self, record: logging.LogRecord) -> None:
        self._failed = False
        super().emit(record)
        self._is_failing = self._failed

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the standard library's name
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
            return
        self._failed = True
        if not self._is_failing:
            with suppress(OSError):  # it may be the stream that fails
                print(f"the log cannot be written: {error.strerror}; lines are lost until it can", file=sys.stderr)  # noqa: T201


class _Counting(logging.Handler):
    def __init__(self, count: Callable[[str], None]) -> None:
        super().__init__()
        self._count = count

    def emit(self, record: logging.LogRecord) -> None:
        self._count(level_of(record))
