"""Answers to those who never reach the application, and how they are counted.

They are written beforehand: a service that is short of time must not spend it on saying so.
"""

import logging
import socket
from functools import lru_cache, partial
from time import monotonic
from typing import Final

from flask import Flask
from werkzeug.exceptions import HTTPException

from ml_api.api.observe import UNMATCHED, label_of_method
from ml_api.api.problems import MEDIA_TYPE, REASONS, RETRY_AFTER_S, TITLES
from ml_api.api.schemas import Problem
from ml_api.api.state import EXTENSION
from ml_api.errors import Overloaded
from ml_api.services import Services

REPORT_S: Final = 1.0
"""How often the log tells of refused requests, at most: a line for each would cost more than the refusal."""

_log = logging.getLogger(__name__)


def _answer(status: int, code: str, detail: str, *headers: str, connection: str = "close") -> bytes:
    title = TITLES[status]
    body = Problem(type="about:blank", title=title, status=status, detail=detail, code=code, request_id="").model_dump_json()
    head = [
        f"HTTP/1.1 {status} {title}",
        f"Content-Type: {MEDIA_TYPE}",
        f"Content-Length: {len(body.encode())}",
        f"Connection: {connection}",
        *headers,
    ]
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()


_overloaded = partial(
    _answer,
    503,
    Overloaded.code,
    "more requests are waiting than can be answered in time; try again",
    f"Retry-After: {RETRY_AFTER_S}",
)
OVERLOADED: Final = _overloaded()
OVERLOADED_COME_AGAIN: Final = _overloaded(connection="keep-alive")
URI_TOO_LONG: Final = _answer(414, "uri-too-long", "the URL is too long; send long texts with POST")
HEADERS_TOO_LARGE: Final = _answer(431, "headers-too-large", "the headers are too large")
MALFORMED: Final = _answer(400, "malformed-http", "this is not a well-formed HTTP/1.1 request")


def send(client: socket.socket, answer: bytes) -> bool:
    """Say it. Whether the client was still there."""
    try:
        client.sendall(answer)
    except OSError:
        _log.debug("a client hung up before it was refused")
        return False
    return True


class Tally:
    """Counts refused requests: at once for the metrics, from time to time for the log."""

    def __init__(self, app: Flask) -> None:
        services: Services = app.extensions[EXTENSION]
        self._metrics = services.metrics
        self._routes = app.url_map.bind("")
        self._route = lru_cache(256)(self._match)  # nearly all ask for the same few
        self._unreported = 0
        self._next_report = 0.0

    def count(self, head: bytes) -> None:
        """`head` is how the request begins."""
        method, _, rest = head.split(b"\r\n", 1)[0].decode("latin-1").partition(" ")
        route = self._route(method, rest.partition(" ")[0].partition("?")[0])
        self._metrics.http.request_duration.labels(label_of_method(method), route, "503").observe(0.0)
        self._metrics.http.rejected.labels(REASONS[Overloaded]).inc()
        self._unreported += 1

    def report(self) -> None:
        """Call often."""
        if self._unreported and monotonic() >= self._next_report:
            _log.warning(
                "refused %d requests: more came than can be answered in time",
                self._unreported,
                extra={"ml_api.refused": self._unreported},
            )
            self._unreported = 0
            self._next_report = monotonic() + REPORT_S

    def _match(self, method: str, path: str) -> str:
        try:
            rule, _ = self._routes.match(path, method, return_rule=True)
        except HTTPException:
            return UNMATCHED
        return rule.rule
