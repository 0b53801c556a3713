"""The errors that calls raise, all of them ClientErrors.

ApiError                    the service answered with an error
├── InvalidRequest          400, 409, 413, 415, 422 ...: repeating the request would not help
├── AccessDenied            401, 403: no API key, or not the right one
├── NotFound                404
├── PreconditionFailed      412: the file under the key is not the one that the request names
└── Unavailable             429, 502, 503, 504: after all attempts
Unreachable                 no answer at all, after all attempts
"""

from collections.abc import Mapping
from json import JSONDecodeError, loads
from typing import Any


class ClientError(Exception):
    """The base of all errors of this package."""


class Unreachable(ClientError):
    pass


class ApiError(ClientError):
    """`code` is the stable slug of the error, `detail` says what was wrong and what would be right."""

    def __init__(self, status: int, code: str, detail: str, request_id: str) -> None:
        super().__init__(f"{detail} ({status} {code})")
        self.status = status
        self.code = code
        self.detail = detail
        self.request_id = request_id


class InvalidRequest(ApiError):
    pass


class AccessDenied(ApiError):
    pass


class NotFound(ApiError):
    pass


class PreconditionFailed(ApiError):
    """With the code `already-there` the service has the very bytes that were sent: perhaps by an attempt whose answer was lost."""


class Unavailable(ApiError):
    pass


KINDS: Mapping[int, type[ApiError]] = {
    401: AccessDenied,
    403: AccessDenied,
    404: NotFound,
    412: PreconditionFailed,
    429: Unavailable,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def error_of(status: int, body: bytes) -> ApiError:
    """Convert an error answer, which is a problem (RFC 9457), or anything else from a proxy in between."""
    problem = _problem(body)
    kind = KINDS.get(status, InvalidRequest if 400 <= status < 500 else ApiError)
    return kind(
        status,
        str(problem.get("code", "unknown")),
        str(problem.get("detail", body[:200].decode(errors="replace"))),
        str(problem.get("request_id", "")),
    )


def _problem(body: bytes) -> dict[str, Any]:
    try:
        value = loads(body)
    except (JSONDecodeError, UnicodeDecodeError):
        return {}
    return value if isinstance(value, dict) else {}
