"""Lists the image files below a folder, for FolderCorpus: each once, in the order of keys. Files and folders that cannot be read
are recorded in a Coverage.

It uses a stack, because folders may be nested deeper than Python's recursion limit. Links out of the root are left out, or, with
`follow_links`, followed, each folder outside once, so that loops end.
"""

import errno
import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ml_api.corpus.base import CorpusFile, Coverage, PassedOver, is_image
from ml_api.corpus.ignoring import IgnoreRules, Patterns, read_rules
from ml_api.corpus.metadata import ENDING, METADATA_FILES, sidecar_of, version_beside
from ml_api.corpus.versions import version_of
from ml_api.corpus.writing import ABANDONED_S, UNFINISHED
from ml_api.errors import CorpusUnavailable

LEADS_NOWHERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
"""Errors for a path without a file: deleted, or a link to nothing or to itself."""

Identity = tuple[int, int]
"""Device and inode, which identify a folder independently of its path."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry of a folder. A folder's key ends in a slash."""

    key: str
    found: os.DirEntry[str]
    folder: bool
    link: bool
    sidecar: os.DirEntry[str] | None = None


class Walk:
    """One listing of the files below `root`, a path without links, except those in `ours`, the folders of this application's
    data."""

    def __init__(self, root: Path, patterns: Patterns, ours: Sequence[Path], coverage: Coverage, *, follow_links: bool) -> None:
        self._root = root
        self._patterns = patterns
        self._rules = IgnoreRules()
        self._our_paths = ours
        self._ours = {identity for path in ours if (identity := identity_of(path)) is not None}
        self._coverage = coverage
        self._follow_links = follow_links
        self._prefix = ""
        self._entered: set[Identity] = set()

    def files(self, prefix: str = "") -> Iterator[CorpusFile]:
        """Yield the files whose keys begin with `prefix`.

        Raises CorpusUnavailable if the root cannot be listed, ConfigError if its ignore patterns cannot be read.
        """
        self._prefix = prefix
        entries = self._entries(str(self._root), "")
        if (reason := self._coverage.unlisted.get("")) is not None:
            raise CorpusUnavailable(f"the corpus {self._root} cannot be listed: {reason}")
        self._rules = read_rules(self._root, self._patterns, follow_links=self._follow_links)
        open_folders = [iter(entries)]
        while open_folders:
            entry = next(open_folders[-1], None)
            if entry is None:
                open_folders.pop()
            elif entry.folder:
                if self._enters(entry):
                    open_folders.append(iter(self._entries(entry.found.path, entry.key)))
            elif (file := self._file(entry)) is not None:
                yield file

    def _entries(self, folder: str, prefix: str) -> list[_Entry]:
        """The entries of a folder except hidden ones, in the order of keys; none if it cannot be listed."""
        try:
            with os.scandir(folder) as scanned:
                listed = list(scanned)
        except OSError as exc:
            self._coverage.unlisted[prefix] = _reason(exc)
            return []
        wanted = [entry for entry in listed if self._may_hold(f"{prefix}{entry.name}") and not _being_written(entry)]
        visible = [entry for entry in wanted if not entry.name.startswith(".")]
        self._coverage.pass_over(PassedOver.HIDDEN, len(wanted) - len(visible))
        entries = filter(None, (self._entry(entry, prefix) for entry in visible))
        return sorted(_with_sidecars(list(entries)), key=lambda entry: entry.key)

    def _may_hold(self, key: str) -> bool:
        """Whether the file, or one below the folder, may have the prefix of this listing."""
        return key.startswith(self._prefix) or self._prefix.startswith(f"{key}/")

    def _entry(self, entry: os.DirEntry[str], prefix: str) -> _Entry | None:
        key = f"{prefix}{entry.name}"
        try:
            link = entry.is_symlink()
            folder = entry.is_dir(follow_symlinks=False)
            if link:
                folder = stat.S_ISDIR(entry.stat().st_mode)
        except OSError as exc:
            self._unreadable(key, exc, link=link)
            return None
        return _Entry(f"{key}/" if folder else key, entry, folder, link)

    def _unreadable(self, key: str, exc: OSError, *, link: bool) -> None:
        if exc.errno not in LEADS_NOWHERE:
            self._coverage.unlisted[key] = _reason(exc)
        elif link and self._follow_links and not is_image(key):
            # Usually a folder on a disk that is not mounted now.
            self._coverage.unlisted[f"{key}/"] = "the link leads nowhere"
        elif link:
            self._coverage.pass_over(PassedOver.LINK)
        # otherwise it was deleted since its folder was listed, which the next sync notices

    def _enters(self, folder: _Entry) -> bool:
        if self._rules.ignores(folder.key):
            why: PassedOver | None = PassedOver.IGNORED
        elif folder.link and not self._follow_links:
            why = PassedOver.LINK
        else:
            why = self._own_or_listed(folder)
        if why is not None:
            self._coverage.pass_over(why)
        return why is None

    def _own_or_listed(self, folder: _Entry) -> PassedOver | None:
        identity = identity_of(Path(folder.found.path)) if self._ours or self._follow_links else None
        if identity in self._ours:
            return PassedOver.OURS
        if not self._follow_links or identity is None:
            return None
        real = Path(os.path.realpath(folder.found.path))
        if real != self._root / folder.key and (real.is_relative_to(self._root) or identity in self._entered):
            return PassedOver.LINK  # listed at its own place, or entered through another link
        self._entered.add(identity)
        return None

    def _file(self, entry: _Entry) -> CorpusFile | None:
        if not is_image(entry.key):
            if entry.key not in METADATA_FILES:
                self._coverage.pass_over_ending(entry.key)
            return None
        if self._rules.ignores(entry.key):
            self._coverage.pass_over(PassedOver.IGNORED)
            return None
        try:
            if entry.link and (why := self._why_not(os.path.realpath(entry.found.path, strict=True))):
                self._coverage.pass_over(why)
                return None
            status = entry.found.stat()
        except OSError as exc:
            self._unreadable(entry.key, exc, link=entry.link)
            return None
        if not stat.S_ISREG(status.st_mode):
            self._coverage.pass_over(PassedOver.SPECIAL)
            return None
        sidecar = "" if entry.sidecar is None else self._version_of_sidecar(entry.sidecar)
        return CorpusFile(entry.key, version_beside(version_of(status), sidecar))

    def _version_of_sidecar(self, sidecar: os.DirEntry[str]) -> str:
        try:
            status = sidecar.stat()
        except OSError:
            return ""
        return version_of(status) if stat.S_ISREG(status.st_mode) else ""

    def _why_not(self, target: str) -> PassedOver | None:
        """Why a link to the file `target` is left out; None if it is listed."""
        if any(Path(target).is_relative_to(folder) for folder in self._our_paths):
            return PassedOver.OURS
        return None if self._follow_links or Path(target).is_relative_to(self._root) else PassedOver.LINK


def _with_sidecars(entries: Sequence[_Entry]) -> Iterator[_Entry]:
    """Yield the entries of a folder, its images with their sidecars, which are then left out themselves."""
    sidecars = {entry.key: entry for entry in entries if entry.key.endswith(ENDING) and not entry.folder}
    if not sidecars:
        yield from entries
        return
    taken = set[str]()
    for entry in entries:
        if entry.key in sidecars:
            continue
        sidecar = sidecars.get(sidecar_of(entry.key)) if is_image(entry.key) and not entry.folder else None
        if sidecar is None:
            yield entry
        else:
            taken.add(sidecar.key)
            yield replace(entry, sidecar=sidecar.found)
    yield from (sidecar for key, sidecar in sidecars.items() if key not in taken)


def _being_written(entry: os.DirEntry[str]) -> bool:
    """Whether it is an unfinished file of FolderWriter. Removes those of processes that were killed."""
    if not entry.name.startswith(UNFINISHED):
        return False
    with suppress(OSError):
        if time.time() - entry.stat(follow_symlinks=False).st_mtime > ABANDONED_S:
            Path(entry.path).unlink()
    return True


def identity_of(folder: Path) -> Identity | None:
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def is_empty(folder: Path) -> bool:
    """Whether a folder has no entries, is missing, or cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is None
    except OSError:
        return True


def _reason(exc: OSError) -> str:
    return exc.strerror or type(exc).__name__
