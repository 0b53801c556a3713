"""What tells one content of a file from another without reading it, and which one a change is for."""

import os
from typing import Final

from ml_api.errors import PreconditionFailed

MISSING: Final = ""
"""In place of the version of a file that is not there."""


def version_of(status: os.stat_result) -> str:
    return f"{status.st_size}-{status.st_mtime_ns}"


def require_version(key: str, now: str, expected: str | None) -> None:
    """Raise PreconditionFailed if a file of the version `now` is not what was `expected`; None expects nothing."""
    if expected is not None and now != expected:
        raise changed_meanwhile(key)


def changed_meanwhile(key: str) -> PreconditionFailed:
    return PreconditionFailed(f"{key!r} was changed by somebody else at the same time; look at what is there now, and decide again")
