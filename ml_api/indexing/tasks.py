"""The parts of a plan: files to read, files that are known to fail, and the state of each entry of the store."""

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


class EntryState(StrEnum):
    """What the plan decides for an entry of the store."""

    OPEN = ""
    KEPT = "kept"
    READ = "read"
    """Its file is read again; the entry stays until the new one is written."""
    FAILED = "failed"
    """Its file is known to fail."""
    UNLISTED = "unlisted"
    REMOVED = "removed"
    MOVED = "moved"
    """It would be removed, and a new file with its bytes has taken over its vector."""
    GONE = "gone"
    """The file with its bytes no longer exists."""


LEAVING: Final = (EntryState.REMOVED, EntryState.MOVED, EntryState.GONE)
"""Deleted from the store at the end of a sync. Moved entries are mostly deleted before, when the new ones are written."""


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
