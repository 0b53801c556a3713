"""Parses and documents `If-Match` and `If-None-Match` of requests that change a file (RFC 9110, 13.1).

The ETag of a file is the digest of its bytes.
"""

import re
from typing import Final

from flask import request

from ml_api.api.schemas import JsonObject
from ml_api.errors import InvalidQuery
from ml_api.indexing.preconditions import ANY, Precondition
from ml_api.wording import got

NAMES: Final = ("If-Match", "If-None-Match")


_TAG: Final = r'(?:W/)?"[!#-)+-~]+"'
_TAGS: Final = rf"{_TAG}(?:\s*,\s*{_TAG})*"


def _parameter(name: str, description: str) -> JsonObject:
    """Without an example, which Swagger UI would send."""
    schema = {"type": "string", "pattern": rf"^(?:\*|{_TAGS})$"}
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema}


IF_MATCH = _parameter(
    NAMES[0], 'Only if the file that is there has this `ETag`, such as `"3b2f9c"`, or `*`: if there is one at all. Else 412.'
)
IF_NONE_MATCH = _parameter(
    NAMES[1], "`*`: only if there is no file under the key yet; an `ETag`: only if it has another. Else 412."
)
CHANGES_IF: Final = ("precondition-failed", "already-there")
"""Error codes of routes that take `IF_MATCH` and `IF_NONE_MATCH`."""


def sent_precondition() -> Precondition | None:
    """Return the precondition in the headers of this request; None without these headers. Raises InvalidQuery."""
    match, none_match = (_digests(name) for name in NAMES)
    return None if match is none_match is None else Precondition(match, none_match)


def _digests(name: str) -> frozenset[str] | None:
    """The digests in a header; None without it.

    Read strictly: a condition that cannot be read is no condition for a lenient reader, and the file would be replaced.
    """
    if name not in request.headers:
        return None
    sent = ", ".join(request.headers.getlist(name))
    if {part.strip() for part in sent.split(",")} == ANY:
        return ANY
    if not re.fullmatch(_TAGS, sent.strip()):
        raise InvalidQuery(f'{name}: must be * or ETags as answers have them, in quotes, such as "3b2f9c"{got(sent)}')
    tags = re.findall(_TAG, sent)
    # RFC 9110, 13.1: If-Match compares strongly, which no weak tag fulfils; If-None-Match weakly.
    return frozenset(tag.removeprefix("W/").strip('"') for tag in tags if name == NAMES[1] or not tag.startswith("W/"))
