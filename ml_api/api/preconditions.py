"""Parses and documents `If-Match` and `If-None-Match` of requests that change a file (RFC 9110, 13.1).

The ETag of a file is the digest of its bytes.
"""

from typing import Final

from flask import request
from werkzeug.datastructures import ETags

from ml_api.api.schemas import JsonObject
from ml_api.indexing.preconditions import ANY, Precondition

NAMES: Final = ("If-Match", "If-None-Match")


def _parameter(name: str, description: str) -> JsonObject:
    """Without an example, which Swagger UI would send."""
    return {"name": name, "in": "header", "required": False, "description": description, "schema": {"type": "string"}}


IF_MATCH = _parameter(
    NAMES[0], 'Only if the file that is there has this `ETag`, such as `"3b2f9c"`, or `*`: if there is one at all. Else 412.'
)
IF_NONE_MATCH = _parameter(
    NAMES[1], "`*`: only if there is no file under the key yet; an `ETag`: only if it has another. Else 412."
)
CHANGES_IF: Final = ("precondition-failed", "already-there")
"""Error codes of routes that take `IF_MATCH` and `IF_NONE_MATCH`."""


def sent_precondition() -> Precondition | None:
    """Return the precondition in the headers of this request; None without these headers."""
    if not any(name in request.headers for name in NAMES):
        return None
    match, none_match = NAMES
    return Precondition(
        _digests(request.if_match, weak=False) if match in request.headers else None,  # RFC 9110, 13.1.1: compared strongly
        _digests(request.if_none_match, weak=True) if none_match in request.headers else None,
    )


def _digests(tags: ETags, *, weak: bool) -> frozenset[str]:
    return ANY if tags.star_tag else frozenset(tags.as_set(include_weak=weak)) - ANY
