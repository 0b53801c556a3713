"""Converts errors to HTTP answers: the table from error types to statuses, and the error handlers of the application."""

import logging
from http import HTTPStatus

from flask import Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from ml_api import errors, tracing
from ml_api.api import services
from ml_api.api.schemas.base import Problem
from ml_api.api.urls import without_slash
from ml_api.errors import MlApiError
from ml_api.logs.throttle import LogThrottle
from ml_api.metrics.http import Rejection
from ml_api.settings import environment_name

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 1
REFUSED = "ml_api.refused"
"""The key, in the WSGI environment, of an error that the server found before it called the application."""

STATUS: dict[type[MlApiError], int] = {
    errors.InvalidInput: 400,
    errors.InvalidQuery: 400,
    errors.InvalidCrop: 400,
    errors.InvalidCursor: 400,
    errors.InvalidKey: 400,
    errors.InvalidMetadata: 400,
    errors.InvalidEvent: 400,
    errors.InvalidImage: 422,
    errors.TooCostly: 422,
    errors.TooLarge: 413,
    errors.UriTooLong: 414,
    errors.HeadersTooLarge: 431,
    errors.MalformedRequest: 400,
    errors.RequestTimeout: 408,
    errors.UnsupportedMedia: 415,
    errors.Misdirected: 421,
    errors.AccessDenied: 403,
    errors.Unauthorized: 401,
    errors.ScopeMissing: 403,
    errors.ForeignOrigin: 403,
    errors.NotFound: 404,
    errors.PreconditionFailed: 412,
    errors.CorpusReadOnly: 403,
    errors.InsufficientStorage: 507,
    errors.Overloaded: 503,
    errors.Unavailable: 503,
    errors.Starting: 503,
    errors.ShuttingDown: 503,
    errors.ModelUnavailable: 503,
    errors.ModelOutOfMemory: 503,
    errors.NonFiniteVector: 503,
    errors.StoreUnavailable: 503,
    errors.CorpusUnavailable: 503,
    errors.DatabaseUnavailable: 503,
    errors.DatabaseFull: 507,
    errors.DeadlineExceeded: 504,
    errors.SyncRefused: 409,
    errors.ConfigError: 500,
    errors.NothingIndexed: 500,
    errors.ModelReplaced: 500,
}
REASONS: dict[type[MlApiError], Rejection] = {
    errors.TooLarge: Rejection.TOO_LARGE,
    errors.InvalidImage: Rejection.BAD_IMAGE,
    errors.TooCostly: Rejection.TOO_COSTLY,
    errors.DeadlineExceeded: Rejection.DEADLINE,
    errors.Unauthorized: Rejection.AUTH,
    errors.ScopeMissing: Rejection.AUTH,
    errors.ForeignOrigin: Rejection.AUTH,
}
"""Errors that are also counted as rejections, beside Overloaded, which says its own reason."""
TITLES = {413: "Content Too Large", 414: "URI Too Long", 416: "Range Not Satisfiable", 422: "Unprocessable Content"}
"""Titles of RFC 9110 where Python has older ones."""
HTTP_CODES = {404: "no-such-route", 413: "too-large", 415: "unsupported-media-type"}
"""Codes of the framework's own errors; those of others are made from their titles."""

_log = logging.getLogger(__name__)


def title_of(status: int) -> str:
    return TITLES.get(status) or HTTPStatus(status).phrase


def body_of(status: int, code: str, detail: str, request_id: str) -> Problem:
    return Problem(type="about:blank", title=title_of(status), status=status, detail=detail, code=code, request_id=request_id)


def problem_of(error: MlApiError) -> Problem:
    """The problem of one item of a request for several, as a part of the answer."""
    return body_of(STATUS[type(error)], error.slug, error.detail, tracing.request_id())


def problem(status: int, code: str, detail: str) -> Response:
    body = body_of(status, code, detail, tracing.request_id())
    response = Response(body.model_dump_json() + "\n", status, content_type=MEDIA_TYPE)
    if status == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def register(app: Flask) -> None:
    outages = LogThrottle(_log)

    @app.before_request
    def refuse() -> None:
        if refused := request.environ.get(REFUSED):
            raise refused

    @app.errorhandler(MlApiError)
    def _answered(error: MlApiError) -> Response:
        status = STATUS[type(error)]
        if (reason := _reason(error)) is not None:
            _count_rejected(reason)
        if isinstance(error, errors.DeadlineExceeded):
            _log.warning("%s: %s", error.slug, error.detail)  # possibly the client's own timeout; a traceback would not help
        elif status in {503, 507}:  # the same for every request while an outage lasts, or the disk is full
            outages.log(error.slug, f"{error.slug}: {error.detail}", logging.ERROR, error)
        elif status >= 500:
            _log.error("%s: %s", error.slug, error.detail, exc_info=error)
        response = problem(status, error.slug, error.detail)
        if challenge := _challenge(error):
            response.headers["WWW-Authenticate"] = challenge
        if isinstance(error, errors.PreconditionFailed) and error.digest:
            response.set_etag(error.digest)  # of what is there, for `If-Match`
        return response

    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unknown)


def _challenge(error: MlApiError) -> str:
    """The value of WWW-Authenticate (RFC 6750) that says what a client lacks; "" for other errors."""
    match error:
        case errors.Unauthorized(slug=errors.Unauthorized.code):
            return 'Bearer realm="ml_api"'
        case errors.Unauthorized():
            return 'Bearer realm="ml_api", error="invalid_token"'
        case errors.ScopeMissing():
            return f'Bearer realm="ml_api", error="insufficient_scope", scope="{error.scope}"'
    return ""


def _http(error: HTTPException) -> BaseResponse:
    status = error.code or 500
    if status == 404 and (elsewhere := without_slash()):
        return elsewhere
    if status == 413:
        _count_rejected(Rejection.TOO_LARGE)
    methods = ", ".join(sorted(getattr(error, "valid_methods", None) or []))
    code = HTTP_CODES.get(status) or (title_of(status).lower().replace(" ", "-") if status < 500 else "internal")
    response = problem(status, code, _detail(error, status, methods))
    response.headers.extend((name, value) for name, value in error.get_headers() if name not in {"Content-Type", "Allow"})
    if methods:
        response.headers["Allow"] = methods
    return response


def _detail(error: HTTPException, status: int, methods: str) -> str:
    match status:
        case 404:
            return f"no route answers {request.path}; {request.root_path}/apidocs/ lists those that do"
        case 405:
            below = _routes_below(request.path, request.method)
            hint = f"; {request.method} is taken by {' and '.join(below)}" if below else ""
            return f"{request.path} does not take {request.method}; it takes {methods}{hint}"
        case 416:
            return f"the range {request.headers.get('Range', '')[:80]!r} lies behind the end of the file"
        case 413:
            return (
                f"the request body is larger than an image of {services().limits.max_bytes:,} bytes needs, "
                f"the largest that is accepted ({environment_name('max_upload_bytes')})"
            )
        case _:
            return error.description or "the request could not be understood"


def _routes_below(path: str, method: str) -> list[str]:
    """The routes below `path`, without variables, that take `method`: of `GET /v1/search` that of texts is meant."""
    rules = current_app.url_map.iter_rules()
    return [
        rule.rule for rule in rules if rule.rule.startswith(f"{path}/") and method in (rule.methods or ()) and not rule.arguments
    ]


def _reason(error: MlApiError) -> Rejection | None:
    return Rejection(error.reason) if isinstance(error, errors.Overloaded) else REASONS.get(type(error))


def _count_rejected(reason: Rejection) -> None:
    services().metrics.http.rejected.labels(reason).inc()


def _unknown(error: Exception) -> Response:
    _log.error("unexpected error", exc_info=error)
    return problem(500, "internal", "something went wrong here; the request id finds it in our logs")
