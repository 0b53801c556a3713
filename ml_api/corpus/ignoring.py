"""What of a folder is no part of the corpus: what systems leave in shared folders, and what its owner names.

Source of the patterns' syntax: https://git-scm.com/docs/gitignore#_pattern_format
"""

import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from pathspec import GitIgnoreSpec

from ml_api.errors import ConfigError

IGNORE_FILE = ".mlapiignore"

SYSTEM_FOLDERS = frozenset(
    {
        "@eadir",  # Synology: thumbnails beside the photographs
        "#recycle",  # Synology: its bin
        "#snapshot",
        "@recycle",  # QNAP: its bin
        "@recently-snapshot",
        "@tmp",
        "$recycle.bin",  # Windows: its bin
        "recycler",
        "system volume information",
        "__macosx",  # macOS: resource forks in ZIP archives
        "lost+found",  # what fsck found; .Trash-1000 and .Trashes are hidden anyway
        "lost.dir",  # Android: likewise
    }
)
"""Names in lower case. They hold what was deleted, copies of what is elsewhere, or thumbnails."""


class IgnoreRules:
    """The system's folders and `patterns`, of which the last that matches decides. Raises ConfigError for one that is none."""

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        lines = list(patterns)
        try:
            self._own = GitIgnoreSpec.from_lines(lines) if lines else None
        except ValueError as exc:
            raise ConfigError(f"a pattern of what to ignore is not in .gitignore's syntax: {exc}") from exc

    def ignores(self, key: str) -> bool:
        """Whether the file, or the folder if `key` ends in a slash, is ignored. Nothing below an ignored folder need be asked."""
        if key.endswith("/") and key[:-1].rpartition("/")[2].lower() in SYSTEM_FOLDERS:
            return True
        return self._own is not None and self._own.match_file(key)


def read_rules(root: Path, configured: Sequence[str]) -> IgnoreRules:
    """The `configured` patterns and those of the folder's own file. Raises ConfigError if that file cannot be read.

    It is no mere problem to report: what it names was meant to stay out of the index.
    """
    path = root / IGNORE_FILE
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a FIFO would be waited for, with the store held
            raise ConfigError(f"{path} is not a file: remove it, or write one pattern a line into a file of that name")
        own = path.read_text(encoding="utf-8-sig", errors="surrogateescape").splitlines()
    except FileNotFoundError:
        own = []
    except OSError as exc:
        raise ConfigError(f"{path} cannot be read: {exc.strerror}") from exc
    return IgnoreRules([*configured, *own])
