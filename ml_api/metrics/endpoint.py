"""Serves `/metrics` to Prometheus on a port and a thread of its own, so that a service without a free thread can still be
watched."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from threading import Thread
from typing import TYPE_CHECKING, Final
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from ml_api.browsers import HEADERS, AllowedHosts
from ml_api.errors import InvalidInput, Misdirected
from ml_api.ports import family_of, told

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

SILENCE_S: Final = 5.0
"""How long a connection may be silent: without a limit, each that is left open would hold a thread and a descriptor."""


@contextmanager
def endpoint(
    host: str, port: int, registry: CollectorRegistry, allowed: AllowedHosts, *, silence_s: float = SILENCE_S
) -> Iterator[None]:
    """Serve `registry` until the context ends, as OpenMetrics with exemplars if the client accepts it. Raises ConfigError."""
    kind: type[ThreadingWSGIServer] = type("_Server", (ThreadingWSGIServer,), {"address_family": family_of(host)})
    handler = type("_Handler", (_Handler,), {"timeout": silence_s})
    with told(host, port):
        server = make_server(host, port, _guarded(make_wsgi_app(registry), allowed), kind, handler)
    with server:
        thread = Thread(target=server.serve_forever, name="metrics", daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def _guarded(app: "WSGIApplication", allowed: AllowedHosts) -> "WSGIApplication":
    """Check the host of each request, so that no page of another site can read metrics, which tell how often people search."""

    def guarded(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        try:
            allowed.check(environ)
        except InvalidInput as exc:
            status = HTTPStatus.MISDIRECTED_REQUEST if isinstance(exc, Misdirected) else HTTPStatus.BAD_REQUEST
            answer = f"{exc.detail}\n".encode()
            headers = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(answer)), **HEADERS}
            start_response(f"{status.value} {status.phrase}", list(headers.items()))
            return [answer]
        return app(environ, lambda status, headers, *error: start_response(status, [*headers, *HEADERS.items()], *error))

    return guarded


class _Handler(WSGIRequestHandler):
    def handle(self) -> None:
        with suppress(TimeoutError, ConnectionError):  # a client that disconnects or stays silent is not worth a log line
            super().handle()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        """Log nothing: scrapes come every few seconds."""
