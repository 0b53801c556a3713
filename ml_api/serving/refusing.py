"""503 answers to requests over capacity, with their metrics and log lines, and to those that a stop leaves unanswered.

They are written without calling the application: an overloaded service must not spend time on refusals, and one that stops may
have a model that hangs.
"""

import logging
from functools import lru_cache
from typing import Final, Protocol

from flask import Flask
from werkzeug.exceptions import HTTPException

from ml_api import tracing
from ml_api.api import EXTENSION
from ml_api.api.observe import UNMATCHED, label_of_method
from ml_api.api.problems import MEDIA_TYPE, RETRY_AFTER_S, body_of
from ml_api.browsers import HEADERS
from ml_api.errors import Overloaded, ShuttingDown
from ml_api.logs.throttle import LogThrottle
from ml_api.services import Services
from ml_api.serving.asgi import Answer

STOPPED: Final = "the service is stopping, and may have done this or not; send it again in a moment"
_HEADERS: Final = {"Content-Type": MEDIA_TYPE, "Retry-After": str(RETRY_AFTER_S), **HEADERS}


def too_many() -> Overloaded:
    """More requests than can be answered in time."""
    return Overloaded("more requests are waiting than can be answered in time; try again", reason="queue_full")


class _Observed(Protocol):
    def observe(self, amount: float) -> None: ...


class Refusals:
    """Writes the answers, counts each in the metrics, and logs them at most once a second."""

    def __init__(self, app: Flask, throttle: LogThrottle) -> None:
        services: Services = app.extensions[EXTENSION]
        self._metrics = services.metrics
        self._routes = app.url_map.bind("")
        self._durations = lru_cache(256)(self._find_durations)  # nearly all requests are for a few routes
        self._throttle = throttle
        self._bodies = lru_cache(16)(_body)  # there are few details

    def overloaded(self, method: str, path: str, request_id: str, error: Overloaded) -> Answer:
        """The answer to a request that raised `error`. `request_id` is its X-Request-ID, or empty."""
        self._durations(method, path).observe(0.0)
        self._metrics.http.rejected.labels(error.reason).inc()
        self._throttle.log(error.detail, f"refused: {error.detail}", logging.WARNING)
        return self._refused(Overloaded.code, error.detail, request_id)

    def shutting_down(self, request_id: str) -> Answer:
        return self._refused(ShuttingDown.code, STOPPED, request_id)

    def _refused(self, code: str, detail: str, request_id: str) -> Answer:
        request_id = tracing.accepted_id(request_id)
        body = (self._bodies(code, detail) % request_id).encode()
        return Answer.whole(503, {**_HEADERS, "X-Request-ID": request_id}, body)

    def _find_durations(self, method: str, path: str) -> _Observed:
        return self._metrics.http.request_duration.labels(label_of_method(method), self._match(method, path), "503")

    def _match(self, method: str, path: str) -> str:
        try:
            rule, _ = self._routes.match(path, method, return_rule=True)
        except HTTPException:
            return UNMATCHED
        return rule.rule


def _body(code: str, detail: str) -> str:
    """With a place for the id of the request."""
    return body_of(503, code, detail, request_id="%s").model_dump_json() + "\n"
