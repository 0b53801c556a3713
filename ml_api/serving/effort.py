"""How long the application works on a request, without the waits for its client: a slow line is no sign of a busy service."""

import threading
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Effort:
    """A WSGI application around another, that takes the time. An answer's way to the client comes after it, and is not in it."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._thread = threading.local()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"] = _TimedReader(environ["wsgi.input"])
        started = perf_counter()
        try:
            return self._app(environ, start_response)
        finally:
            self._thread.seconds = perf_counter() - started - body.seconds

    def take_s(self) -> float:
        """That of the last request in this thread; 0 if there was none since this was asked."""
        seconds: float = getattr(self._thread, "seconds", 0.0)
        self._thread.seconds = 0.0
        return seconds


class _TimedReader:
    """A request's body, that takes the time to get it."""

    def __init__(self, body: Any) -> None:
        self._body = body
        self.seconds = 0.0

    def read(self, *size: int) -> bytes:
        started = perf_counter()
        try:
            data: bytes = self._body.read(*size)
            return data
        finally:
            self.seconds += perf_counter() - started

    def __getattr__(self, name: str) -> Any:
        return getattr(self._body, name)
