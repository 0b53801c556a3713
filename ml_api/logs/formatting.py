"""Formats log records, always as one line, so that no client can forge a record."""

import logging
import math
import re
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from pythonjsonlogger.json import JsonFormatter

from ml_api import __version__, tracing
from ml_api.logs.fields import FIELDS

ECS_VERSION: Final = "8.11"
SECRET_PREFIX: Final = "mlapi_"  # noqa: S105 - what every key begins with is no secret
SECRET: Final = re.compile(SECRET_PREFIX + r"[0-9a-f]{64}", re.ASCII)
"""The form of API keys and session tokens, which are never logged, wherever a client has put them."""
_CONTROL: Final = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))} | {0x2028: "\\u2028", 0x2029: "\\u2029"}


def level_of(record: logging.LogRecord) -> str:
    """One of five level names; a level that a library defines counts as the next lower one."""
    for level in (logging.CRITICAL, logging.ERROR, logging.WARNING, logging.INFO):
        if record.levelno >= level:
            return logging.getLevelName(level).lower()
    return "debug"


class EcsFormatter(JsonFormatter):
    """Formats a record as one ECS object. Extra fields are passed to the logger with their full dotted names.

    Fields that are not in FIELDS (libraries may add some) are left out, because the index would refuse the line.
    """

    def __init__(self, environment: str) -> None:
        super().__init__()
        self._service = {
            "ecs.version": ECS_VERSION,
            "service.name": "ml_api",
            "service.version": __version__,
            "service.environment": environment,
        }

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Replaces python-json-logger's choice of fields; it still writes the JSON."""
        log_data |= {
            "@timestamp": _timestamp(record.created),
            "log.level": level_of(record),
            "message": without_secrets(record.message),
            **self._service,
            "event.dataset": "ml_api.app",
            "log.logger": record.name,
            "process.pid": record.process,
            "process.thread.name": record.threadName,
            **_origins(),
            **_error(record, message_dict.get("exc_info", "")),
        }
        log_data |= {name: _storable(value) for name, value in vars(record).items() if name in FIELDS}


class TerminalFormatter(logging.Formatter):
    """Short lines for a terminal. Control characters, which could move the cursor, are escaped, except in tracebacks."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        return super().formatMessage(record).translate(_CONTROL)


def without_secrets(text: str) -> str:
    return SECRET.sub(f"{SECRET_PREFIX}…", text) if SECRET_PREFIX in text else text


def _timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _origins() -> dict[str, Any]:
    """Ids of the request that the work is for; lists of ids for several requests, which Elasticsearch matches by each id."""
    origins = tracing.origins()
    ids = {
        "http.request.id": [origin.request_id for origin in origins if origin.request_id],
        "trace.id": [origin.trace_id for origin in origins],
        "span.id": [origin.span_id for origin in origins],
    }
    return {name: values[0] if len(values) == 1 else values for name, values in ids.items() if values}


def _error(record: logging.LogRecord, traceback: str) -> dict[str, str]:
    if not record.exc_info or record.exc_info[0] is None:
        return {}
    kind, exception, _ = record.exc_info
    return {
        "error.id": uuid4().hex,
        "error.type": f"{kind.__module__}.{kind.__qualname__}",
        "error.message": _storable(str(exception)),
        "error.stack_trace": _storable(traceback),
    }


def _storable(value: Any) -> Any:
    """The value without secrets, in a form that JSON and UTF-8 can represent: lone surrogates (from file names) escaped, NaN as
    null."""
    if isinstance(value, str):
        value = without_secrets(value)
        return value if value.isascii() else value.encode(errors="backslashreplace").decode()
    return None if isinstance(value, float) and not math.isfinite(value) else value
