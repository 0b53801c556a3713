"""Versions of files in corpora: texts that tell a changed file from an unchanged one without reading its content.

A change to a file may require that it still has an expected version.
"""

import os
from typing import Final

from ml_api.errors import PreconditionFailed

MISSING: Final = ""
"""The version of a file that does not exist."""


def version_of(status: os.stat_result) -> str:
    """The version of a local file: its size in bytes and the time of its last modification."""
    return f"{status.st_size}-{status.st_mtime_ns}"


def require_version(key: str, now: str, expected: str | None) -> None:
    """Raise PreconditionFailed if the current version, `now`, is not the `expected` one; None accepts every version."""
    if expected is not None and now != expected:
        raise changed_meanwhile(key)


def changed_meanwhile(key: str) -> PreconditionFailed:
    return PreconditionFailed(f"{key!r} was changed by another program at the same time; read its present state, and decide again")
