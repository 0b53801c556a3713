"""Logging: one record, one line, named after the Elastic Common Schema, carrying the ids of the requests it belongs to."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from ml_api.logs.fields import FIELDS, fields_table
from ml_api.logs.formatting import EcsFormatter, TerminalFormatter, level_of

__all__ = ["FIELDS", "EcsFormatter", "configure", "counting", "fields_table", "level_of"]

OUR_LOGGERS = ("ml_api", "demo", "_granian")
"""Loggers that follow the configured level; libraries are heard from warnings on."""


def configure(level: str, environment: str, stream: TextIO | None = None) -> None:
    """Send every logger of the process through one handler: JSON for machines, short lines where a person watches a terminal."""
    stream = stream or sys.stdout
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TerminalFormatter() if stream.isatty() else EcsFormatter(environment))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in OUR_LOGGERS:
        logging.getLogger(name).setLevel(level.upper())
    # Milvus Lite's server, in this process, logs a traceback for each call it lacks; pymilvus copes, failures reach us as errors.
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


class _Counting(logging.Handler):
    def __init__(self, count: Callable[[str], None]) -> None:
        super().__init__()
        self._count = count

    def emit(self, record: logging.LogRecord) -> None:
        self._count(level_of(record))
