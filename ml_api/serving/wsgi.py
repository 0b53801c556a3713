"""Translation from an ASGI request with its body in memory to a WSGI application (PEP 3333), and back."""

import io
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from ml_api.serving.asgi import Answer, Scope, encoded

PIECE_BYTES: Final = 64 * 1024
"""Size of the pieces of a long answer. Shorter answers are handed to granian whole."""

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def environ_of(scope: Scope, body: bytes, **more: object) -> dict[str, Any]:
    """The WSGI environment, with `body` as input, and `more` for the application."""
    client, server = scope.get("client") or ("", 0), scope.get("server") or ("", 0)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(scope["raw_path"] or b"/").decode("latin-1"),  # CONNECT has no path
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": "HTTP/1.0" if scope["http_version"] == "1" else f"HTTP/{scope['http_version']}",  # granian writes "1"
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "REMOTE_ADDR": client[0],
        "REMOTE_PORT": str(client[1]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **more,
    }
    for name, value in scope["headers"]:
        if b"_" in name:  # it would be read as the header with a hyphen, which a proxy may have checked
            continue
        key = name.decode("latin-1").upper().replace("-", "_")
        key = key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]}{';' if key == 'HTTP_COOKIE' else ','}{text}" if key in environ else text
    return environ


def call(app: Application, environ: dict[str, Any]) -> Answer:
    """Call the application, in any thread. The pieces may be read in other threads, one at a time."""
    begun: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], _exc_info: object = None) -> None:
        begun[:] = [(status, headers)]

    pieces = _pieces(app(environ, start_response))
    first = next(pieces, b"")
    [(status, headers)] = begun
    return Answer(int(status.split(" ", 1)[0]), encoded(headers), first, pieces if len(first) >= PIECE_BYTES else None)


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Pieces of at least PIECE_BYTES, except the last. Closes the application's iterable."""
    try:
        gathered = bytearray()
        for chunk in chunks:
            gathered += chunk
            if len(gathered) >= PIECE_BYTES:
                yield bytes(gathered)
                gathered.clear()
        if gathered:
            yield bytes(gathered)
    finally:
        if close := getattr(chunks, "close", None):
            close()
