"""The Flask factory."""

from collections.abc import Callable
from functools import partial
from urllib.parse import urlsplit, urlunsplit
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask, Response, request
from flask_compress import Compress
from werkzeug.routing import RequestRedirect

from ml_api import web
from ml_api.api import (
    EXTENSION,
    HEAD_CHECK,
    SHARED_WITH,
    answers,
    authorization,
    composed,
    duplicates,
    edits,
    embeddings,
    events,
    feedback,
    images,
    observe,
    openapi,
    problems,
    release_services,
    search,
    status,
    sync,
    uploads,
    urls,
)
from ml_api.api.parsing import REQUEST_TIMEOUT_S, BufferedRequest
from ml_api.api.problems import MEDIA_TYPE
from ml_api.browsers import HEADERS, AllowedHosts, origins, preflight_headers, sharing_headers
from ml_api.reverse_proxies import BehindProxies, networks
from ml_api.services import Services, build_services
from ml_api.settings import Settings
from ml_api.web import session

JSON_OVERHEAD = 4 / 3
"""Base64 encodes three bytes as four."""
ENVELOPE_BYTES = 64 * 1024
"""Allowance for multipart headers and JSON syntax around an image."""
TEXT = ("application/json", MEDIA_TYPE, "text/html", "text/css", "text/javascript", "image/svg+xml")
"""What is compressed, if the client accepts zstd or gzip. Images are compressed by their own formats."""
ZSTD_LEVEL, GZIP_LEVEL = 1, 3
"""Of an answer of 10 hits, 5.7 KB, zstd leaves 0.84 KB in 0.02 ms and gzip 0.94 in 0.01; of 100 hits, 56 KB, zstd 4.9 in 0.06 ms
and gzip 7.1 in 0.15. Higher levels take longer and leave as much."""
COMPRESSED_BYTES = 1000
"""Smaller answers fit into a packet as they are."""


def create_app(settings: Settings, services: Services | None = None) -> Flask:
    """The application. Without `services` it builds real ones: call in the process that serves. Raises ConfigError."""
    app = Flask("ml_api", static_folder=None, template_folder=None)
    app.request_class = BufferedRequest
    app.config["MAX_CONTENT_LENGTH"] = int(settings.max_upload_bytes * JSON_OVERHEAD) + ENVELOPE_BYTES
    app.config["APPLICATION_ROOT"] = settings.root_path or "/"
    app.config[REQUEST_TIMEOUT_S] = settings.request_timeout_s
    app.json.sort_keys = False  # type: ignore[attr-defined]  # the default provider has it
    app.extensions[EXTENSION] = services = services or build_services(settings)
    app.teardown_appcontext(release_services)
    observe.register(app, services.metrics, services.spans, log_queries=settings.log_queries)
    problems.register(app)
    app.config[SHARED_WITH] = shared_with = origins(settings.cors_origins)
    _keep_other_sites_out(app, AllowedHosts.of(settings.host, settings.allowed_hosts), shared_with)
    check_head = authorization.register(app, services.access, shared_with)
    behind_proxies = partial(BehindProxies, root_path=settings.root_path, trusted=networks(settings.trusted_proxies))
    app.wsgi_app = behind_proxies(app.wsgi_app)  # type: ignore[method-assign]
    app.extensions[HEAD_CHECK] = behind_proxies(_without_answer(check_head))
    urls.register(app)
    answers.register(app)
    _compress(app)
    searching = (search.blueprint, composed.blueprint, feedback.blueprint, embeddings.blueprint)
    of_images = (images.blueprint, edits.blueprint, duplicates.blueprint, uploads.blueprint, events.blueprint)
    for blueprint in (*searching, *of_images, sync.blueprint, status.blueprint, web.blueprint, session.blueprint):
        app.register_blueprint(blueprint)
    openapi.register(app, settings.request_timeout_s, asks_for_keys=services.access is not None)
    return app


def _without_answer(check: Callable[[WSGIEnvironment], None]) -> WSGIApplication:
    """So that it sees what the application does, behind the same middleware."""

    def application(environ: WSGIEnvironment, _start_response: StartResponse) -> list[bytes]:
        check(environ)
        return []

    return application


def _keep_other_sites_out(app: Flask, allowed: AllowedHosts, shared_with: frozenset[str]) -> None:
    """Registered after `observe`, so that refused requests have an id and a log line."""

    @app.before_request
    def check_host() -> None:
        allowed.check(request.environ)

    @app.after_request
    def protect(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        _share(response, request.headers.get("Origin", ""), shared_with)
        if response.location and isinstance(request.routing_exception, RequestRedirect):
            # A path only, because the host of an absolute URL would be the claimed one. Two slashes at the start would name a host.
            target = urlsplit(request.routing_exception.new_url)
            response.location = urlunsplit(("", "", "/" + target.path.lstrip("/"), target.query, ""))
        return response


def _share(response: Response, origin: str, shared_with: frozenset[str]) -> None:
    """Tell browsers what pages of other origins may read and send (the Fetch standard, 3.3)."""
    if request.method == "OPTIONS" and response.status_code == 200:
        response.headers.pop("Content-Type", None)  # there is no content
    headers = sharing_headers(origin, shared_with)
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        headers |= preflight_headers(origin, response.headers.get("Allow", ""), shared_with)
    for name, value in headers.items():
        if name == "Vary":
            response.vary.add(value)
        else:
            response.headers[name] = value


def _compress(app: Flask) -> None:
    app.config |= {"COMPRESS_MIMETYPES": TEXT, "COMPRESS_ALGORITHM": ("zstd", "gzip"), "COMPRESS_LEVEL": GZIP_LEVEL}
    app.config |= {"COMPRESS_ZSTD_LEVEL": ZSTD_LEVEL, "COMPRESS_MIN_SIZE": COMPRESSED_BYTES}
    Compress(app)

    @app.after_request
    def read_file(response: Response) -> Response:
        """Flask-Compress, whose turn comes next, leaves a file open that it compresses piece by piece."""
        if response.is_streamed and response.mimetype in TEXT:
            response.direct_passthrough = False
            response.make_sequence()
        return response
