"""What every request gets whatever it asks for: an id, a line in the log, its time in the metrics."""

import hashlib
import logging
import re
import uuid
from contextvars import ContextVar
from time import perf_counter

from flask import Flask, Response, current_app, g, request

from ml_api import logs
from ml_api.metrics import Metrics

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
UNMATCHED = "__unmatched__"
LOG_QUERIES = "LOG_QUERIES"

arrived: ContextVar[float | None] = ContextVar("arrived", default=None)
"""When this thread's request came, on the clock of `perf_counter`, where the server knows: it may have waited for the thread."""

_log = logging.getLogger("ml_api.access")


def register(app: Flask, metrics: Metrics, *, log_queries: bool) -> None:
    app.config[LOG_QUERIES] = log_queries

    @app.before_request
    def begin() -> None:
        given = request.headers.get("X-Request-ID", "")
        logs.request_id.set(given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex)
        g.started = arrived.get() or perf_counter()
        metrics.http_requests_in_progress.labels(_route()).inc()

    @app.after_request
    def end(response: Response) -> Response:
        response.headers["X-Request-ID"] = logs.request_id.get() or ""
        g.status = response.status_code
        g.sent_bytes = response.calculate_content_length()
        return response

    @app.teardown_request
    def account(_error: BaseException | None) -> None:
        seconds = perf_counter() - g.started
        route, status = _route(), getattr(g, "status", 500)
        metrics.http_requests_in_progress.labels(route).dec()
        metrics.http_request_duration.labels(label_of_method(request.method), route, str(status)).observe(seconds)
        _log.info("%s %s %s", request.method, route, status, extra=_access_line(route, status, seconds))
        logs.request_id.set(None)


def note_query(text: str) -> None:
    """Put a search text on the access line: in full only where that was asked for, else so that equal texts can be counted."""
    g.noted = {"ml_api.query.length": len(text), "ml_api.query.hash": hashlib.sha256(text.encode()).hexdigest()[:16]}
    if current_app.config[LOG_QUERIES]:
        g.noted["ml_api.query.text"] = text


def _route() -> str:
    return request.url_rule.rule if request.url_rule else UNMATCHED


def label_of_method(method: str) -> str:
    """There are few. HEAD is a GET that leaves out the body."""
    method = "GET" if method == "HEAD" else method
    return method if method in {"GET", "POST", "PUT", "DELETE", "OPTIONS"} else "OTHER"


def _access_line(route: str, status: int, seconds: float) -> dict[str, object]:
    return {
        "event.dataset": "ml_api.access",
        "event.action": f"{label_of_method(request.method)} {route}",
        "event.duration": int(seconds * 1e9),
        "event.outcome": "failure" if status >= 500 else "success",
        "http.request.method": request.method,
        "http.request.body.bytes": request.content_length or 0,
        "http.response.status_code": status,
        "http.response.body.bytes": getattr(g, "sent_bytes", None) or 0,
        "url.path": request.path,
        "client.ip": request.remote_addr,
        "user_agent.original": request.user_agent.string[:256],
        "ml_api.route": route,
        **g.get("noted", {}),
    }
