"""JSON over HTTP, with a bound on every wait. Standard library only, as it runs in images and on hosts that have nothing else."""

import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, Final, TypeVar
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

CALL_TIMEOUT_S: Final = 30.0
PAUSE_S: Final = 1.0

T = TypeVar("T")

_DIRECTLY: Final = build_opener(ProxyHandler({}))
"""Whatever proxy the environment names, which Docker puts into containers too: these services are its neighbours."""


class Failure(Exception):
    """Something is not as it should be; the message is for a person."""


class NotYet(Failure):
    """The same, but it may come right by waiting."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Any
    """The JSON of the answer; its text where it is no JSON."""


@dataclass(frozen=True, slots=True)
class Client:
    url: str
    """http://host:port"""
    user: str = ""
    password: str = ""

    def call(self, method: str, path: str, body: Any = None, *, accept: tuple[int, ...] = (200,), **headers: str) -> Answer:
        """Raises NotYet where nobody answers, or with a 429 or 5xx; Failure for another status that is not in `accept`."""
        request = Request(self.url + path, method=method, data=None if body is None else json.dumps(body).encode())  # noqa: S310 - ours
        request.add_header("Content-Type", "application/json")
        if self.user:
            request.add_header("Authorization", "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode())
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            with _DIRECTLY.open(request, timeout=CALL_TIMEOUT_S) as response:
                answer = Answer(response.status, _parsed(response.read()))
        except HTTPError as error:
            with error:
                answer = Answer(error.code, _parsed(error.read()))
        except (OSError, HTTPException) as error:
            raise NotYet(f"{self.url} does not answer: {getattr(error, 'reason', error)}") from error
        if answer.status in accept:
            return answer
        kind = NotYet if answer.status == 429 or answer.status >= 500 else Failure
        raise kind(f"{method} {self.url}{path}: {answer.status} {json.dumps(answer.body)[:1000]}")


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content.decode(errors="replace")


def patiently(attempt: Callable[[], T], timeout_s: float, pause_s: float = PAUSE_S) -> T:
    """The result of `attempt`, tried again while it raises NotYet, and a last time when `timeout_s` is over."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return attempt()
        except NotYet as reason:
            if time.monotonic() >= deadline:
                raise Failure(f"{reason} (waited {timeout_s:.0f} s)") from reason
        time.sleep(max(0.0, min(pause_s, deadline - time.monotonic())))
