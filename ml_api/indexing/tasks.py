"""What a plan is made of: files to read, files that are known to fail, and what becomes of each image in the store."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from ml_api.records import Entry
from ml_api.vocabulary import ReasonCode

BATCH: Final = 32
"""Files that are embedded together, or that take over vectors together, and are then written together."""
AT_ONCE: Final = 500
"""Rows in one statement, or held in memory at once."""


class Fate(StrEnum):
    """What becomes of an image in the store."""

    OPEN = ""
    KEPT = "kept"
    READ = "read"
    """Its file is read again; until that is written, the store has what it had."""
    FAILED = "failed"
    """Its file is known to fail."""
    UNLISTED = "unlisted"
    REMOVED = "removed"
    MOVED = "moved"
    """It would be removed, and a new file with its bytes has taken over its vector."""
    GONE = "gone"
    """The bytes that it shows are no more."""


LEAVING: Final = (Fate.REMOVED, Fate.MOVED, Fate.GONE)
"""What is deleted from the store at the end of a sync; what has moved is gone already, as a rule."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a file is not indexed: a stable code for programs, and words for people."""

    code: ReasonCode
    text: str


@dataclass(frozen=True, slots=True)
class Task:
    """A file to read, and the entry stored under its key, if any."""

    key: str
    version: str
    metadata: Mapping[str, Any]
    stored: Entry | None
    file_version: str
    """The version of the bytes, without the metadata's part."""
    edited: Mapping[str, str] = field(default_factory=dict)
    """The fields of `metadata` that came with an upload, as in ImageRecord."""
