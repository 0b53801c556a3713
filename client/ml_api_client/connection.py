"""The common base of both clients: their settings, the HTTP request of a call, retries, and the reading of answers."""

from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import httpx2

from ml_api_client.calls import BINARY, Call, whole
from ml_api_client.errors import Unreachable, error_of
from ml_api_client.retrying import Retries

Answer = TypeVar("Answer")

TIMEOUT_S: Final = 60.0
"""Longer than the service's own time limit, so that its answer is received."""
ACTIVE: Final = frozenset({"queued", "running"})
"""States of a sync that is not over."""


class Connection:
    """The settings of a client. `api_key` is sent with every request. Raises ValueError for a `url` or key that cannot be one."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:8420",
        *,
        api_key: str | None = None,
        timeout_s: float = TIMEOUT_S,
        retries: Retries = Retries(),  # noqa: B008 - frozen
    ) -> None:
        self._url = _checked_url(url).rstrip("/")
        self._headers = {"X-API-Key": _checked_key(api_key)} if api_key else {}
        self._timeout_s = timeout_s
        self._retries = retries
        self._open()

    def _open(self) -> None:
        """Make the HTTP client."""

    def _request(self, call: Call[Any]) -> dict[str, Any]:
        headers = dict(call.headers)
        request: dict[str, Any] = {
            "method": call.method,
            "url": self._url + call.path,
            "params": dict(call.query),
            "headers": headers,
        }
        if call.form:
            return request | {"files": [(name, (label, whole(file), BINARY)) for name, label, file in call.form]}
        if call.body is None:
            return request
        headers["Content-Type"] = call.media_type
        if isinstance(call.body, Path):
            headers["Content-Length"] = str(call.body.stat().st_size)
        return request

    def _after(self, attempt: int, answer: httpx2.Response | httpx2.TransportError) -> float | None:
        """Seconds until the next attempt; None if `answer` is final."""
        if isinstance(answer, httpx2.TransportError):
            return self._retries.wait_s(attempt, None, {})
        return self._retries.wait_s(attempt, answer.status_code, answer.headers)

    def _outcome(self, call: Call[Answer], answer: httpx2.Response | httpx2.TransportError) -> Answer:
        """Parse the final answer of a call. Raises ClientError."""
        if isinstance(answer, httpx2.TransportError):
            raise Unreachable(f"{self._url} does not answer: {answer or type(answer).__name__}") from answer
        if answer.is_success:
            return call.read(answer.content)
        raise error_of(answer.status_code, answer.content)


def _checked_url(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"url: {url!r} does not begin with http:// or https://, as http://127.0.0.1:8420 does")
    if not urlsplit(url).hostname:
        raise ValueError(f"url: {url!r} names no host, as http://127.0.0.1:8420 does")
    return url


def _checked_key(key: str) -> str:
    """Without repeating it: messages end in logs."""
    for place, character in enumerate(key):
        if not "!" <= character <= "~":
            raise ValueError(
                f"api_key: character {place + 1} of {len(key)} is {character!r}; keys have letters, digits and punctuation of "
                "ASCII alone, as `keys create` prints them"
            )
    return key
