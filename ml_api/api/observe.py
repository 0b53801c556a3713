"""Records every request: its id and trace, a line in the access log, metrics, and a span if spans are exported."""

import hashlib
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter
from typing import Any

from flask import Flask, Response, current_app, g, request

from ml_api import stages, tracing
from ml_api.addresses import address_of
from ml_api.logs import without_secrets
from ml_api.metrics import Metrics
from ml_api.spans import Spans
from ml_api.vocabulary import Stage

UNMATCHED = "__unmatched__"
LOG_QUERIES = "LOG_QUERIES"
SPAN_ATTRIBUTES = ("http.", "url.", "user_agent.", "ml_api.")
"""Prefixes of log fields that become attributes of spans: those with the same name in OpenTelemetry, and this service's own."""

arrived: ContextVar[float | None] = ContextVar("arrived", default=None)
"""When this thread's request arrived, on the clock of `perf_counter`; None if the server does not tell. It may have waited
since."""

ELSEWHERE = "ml_api.elsewhere_s"
"""The key, in a request's environ, of the times that the server leaves out of its estimate of waiting times."""

_log = logging.getLogger("ml_api.access")


def register(app: Flask, metrics: Metrics, spans: Spans | None, *, log_queries: bool) -> None:
    app.config[LOG_QUERIES] = log_queries

    @app.before_request
    def begin() -> None:
        tracing.begin(tracing.request_origin(request.headers.get("X-Request-ID"), request.headers.get("traceparent")))
        g.started = arrived.get() or perf_counter()
        g.noted = {}
        metrics.http.in_progress.labels(_route()).inc()

    @app.after_request
    def end(response: Response) -> Response:
        [origin] = tracing.origins()
        response.headers["X-Request-ID"] = origin.request_id or ""
        response.headers["traceresponse"] = origin.traceresponse
        g.status = response.status_code
        g.sent_bytes = response.calculate_content_length() or 0
        return response

    @app.teardown_request
    def account(_error: BaseException | None) -> None:
        seconds = perf_counter() - g.started
        route, status = _route(), getattr(g, "status", 500)
        metrics.http.in_progress.labels(route).dec()
        metrics.http.request_duration.labels(label_of_method(request.method), route, str(status)).observe(
            seconds, tracing.exemplar()
        )
        if request.content_length:
            metrics.http.request_size.labels(route).observe(request.content_length)
        metrics.http.response_size.labels(route).observe(g.get("sent_bytes", 0))
        line = _access_line(route, status, seconds)
        if (timed := stages.end()) is not None:
            metrics.search.observe_stages(timed)
            line |= _stages_ms(timed.seconds)
        _log.info("%s %s %s", request.method, route, status, extra=line)
        if spans is not None:
            [origin] = tracing.origins()
            attributes = {name: value for name, value in line.items() if name.startswith(SPAN_ATTRIBUTES)}
            spans.add(origin, line["event.action"], seconds, {"http.route": route, **attributes}, failed=status >= 500)
        tracing.end()


@contextmanager
def elsewhere() -> Iterator[None]:
    """Measure time that the request spends on decoding, which has its own processes and queue: it does not delay other requests."""
    started = perf_counter()
    try:
        yield
    finally:
        request.environ.get(ELSEWHERE, []).append(perf_counter() - started)


def note(fields: Mapping[str, object]) -> None:
    """Add fields of `logs.FIELDS` to the request's line in the access log."""
    g.noted |= fields


def note_query(text: str) -> None:
    """Add a search text to the line: its length and its hash, by which equal texts are recognised; the text only if configured."""
    note({"ml_api.query.length": len(text), "ml_api.query.hash": hash_of(text)})
    if current_app.config[LOG_QUERIES]:
        note({"ml_api.query.text": text})


def hash_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _route() -> str:
    return request.url_rule.rule if request.url_rule else UNMATCHED


def label_of_method(method: str) -> str:
    """The method as a label, of which there are few. HEAD counts as GET, from which it differs in the missing body only."""
    method = "GET" if method == "HEAD" else method
    return method if method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} else "OTHER"


def _access_line(route: str, status: int, seconds: float) -> dict[str, Any]:
    return {
        "event.dataset": "ml_api.access",
        "event.action": f"{label_of_method(request.method)} {route}",
        "event.duration": int(seconds * 1e9),
        "event.outcome": "failure" if status >= 500 else "success",
        "http.request.method": request.method,
        "http.request.body.bytes": request.content_length or 0,
        "http.response.status_code": status,
        "http.response.body.bytes": g.get("sent_bytes", 0),
        "url.path": without_secrets(request.path),
        "user_agent.original": request.user_agent.string[:256],
        "ml_api.route": route,
        **g.noted,
        **_client(request.remote_addr or ""),
    }


def _stages_ms(seconds: Mapping[Stage, float]) -> dict[str, float]:
    took_ms = {stage: round(taken * 1000, 3) for stage, taken in seconds.items()}
    queued = {"ml_api.queue_ms": took_ms[Stage.QUEUE]} if Stage.QUEUE in took_ms else {}
    return {f"ml_api.stage_ms.{stage}": ms for stage, ms in took_ms.items()} | queued


def _client(remote: str) -> dict[str, str]:
    """The field of the client's address, if `remote` is one: a proxy may send `unknown`, or a port with it, and Elasticsearch
    refuses a line with an invalid address."""
    address = address_of(remote)
    return {} if address is None else {"client.ip": str(address)}
