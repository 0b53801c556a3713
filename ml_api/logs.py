"""One JSON object a line, named after the Elastic Common Schema, carrying the id of the request it belongs to.

A line is always one line: JSON escapes control characters, so no client can forge a log record.
"""

import logging
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

from ml_api import __version__

ECS_VERSION = "8.11"
OUR_LOGGERS = ("ml_api", "demo", "gunicorn")
"""Loggers that follow the configured level; libraries are heard from warnings on."""

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Id of the request being handled; every log line written meanwhile carries it."""


class EcsFormatter(JsonFormatter):
    """Formats a record as one ECS object. Extra fields are given to the logger with their full dotted names."""

    def __init__(self, environment: str) -> None:
        super().__init__(reserved_attrs=[*RESERVED_ATTRS, "taskName"])
        self._service = {
            "ecs.version": ECS_VERSION,
            "service.name": "ml_api",
            "service.version": __version__,
            "service.environment": environment,
        }

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        super().add_fields(log_data, record, message_dict)
        extra = {name: value for name, value in log_data.items() if name not in {"message", "exc_info", "stack_info"}}
        log_data.clear()
        log_data.update(
            {
                "@timestamp": _timestamp(record.created),
                "log.level": record.levelname.lower(),
                "message": record.getMessage(),
                **self._service,
                "log.logger": record.name,
                "process.pid": record.process,
                "process.thread.name": record.threadName,
                **_error(record, self),
                **extra,
            }
        )
        if (current := request_id.get()) is not None:
            log_data.setdefault("http.request.id", current)


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _error(record: logging.LogRecord, formatter: logging.Formatter) -> Mapping[str, str]:
    if not record.exc_info or record.exc_info[0] is None:
        return {}
    kind, exception, _ = record.exc_info
    return {
        "error.type": f"{kind.__module__}.{kind.__qualname__}",
        "error.message": str(exception),
        "error.stack_trace": formatter.formatException(record.exc_info),
    }


def configure(level: str, environment: str, stream: TextIO | None = None) -> None:
    """Send every logger of the process through one handler: JSON for machines, short lines where a person watches a terminal."""
    stream = stream or sys.stdout
    handler = logging.StreamHandler(stream)
    on_terminal = stream.isatty()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s") if on_terminal else EcsFormatter(environment))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in OUR_LOGGERS:
        logging.getLogger(name).setLevel(level.upper())
    # Milvus Lite's server, in this process, logs a traceback for each call it lacks; pymilvus copes, failures reach us as errors.
    logging.getLogger("grpc._server").setLevel(logging.CRITICAL)
    logging.captureWarnings(capture=True)
