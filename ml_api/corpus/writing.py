"""Writes and deletes files in a folder of images, for FolderCorpus: atomically, durably, and never through a link.

Folders are opened one by one below the root, each relative to the one above, so that no link that appears meanwhile leads out. A
file is written under a hidden name in its folder, and renamed once it is flushed to disk.
"""

import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final

from ml_api.corpus.versions import MISSING, require_version, version_of
from ml_api.errors import CorpusReadOnly, CorpusUnavailable, InsufficientStorage, InvalidKey, MlApiError
from ml_api.files import NO_ROOM

UNFINISHED: Final = ".ml-api-"
"""Prefix of the names of files being written. A process that is killed leaves its file behind; a later listing removes it."""

ABANDONED_S: Final = 3600.0
"""An unfinished file of this age belongs to a process that was killed."""

JUST_BEFORE_NS: Final = 1_000_000_000
"""If the replaced file is newer than its successor by less than this, the successor's time is set to a nanosecond after it. A file
that is newer by more was written by another clock."""

NOT_ALLOWED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
NO_FOLDER = frozenset({errno.ENOTDIR, errno.ELOOP})


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a file: the descriptor of its open folder, and its name there."""

    folder: int
    name: str

    def status(self) -> os.stat_result | None:
        """The status of the file, or of the link itself if it is one; None if there is none."""
        try:
            return os.stat(self.name, dir_fd=self.folder, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def version(self) -> str:
        """The version of the file, or of that which a link leads to; MISSING if there is none."""
        try:
            return version_of(os.stat(self.name, dir_fd=self.folder))
        except FileNotFoundError:
            return MISSING


class FolderWriter:
    """Writes and deletes below `root`, a path without links. `ours` tells whether a folder is one of this application's own data.

    `expected` is as in `Corpus`, without a sidecar's version. It is compared just before the change; another program may come in
    between. Raises PreconditionFailed, InvalidKey, CorpusReadOnly, InsufficientStorage and CorpusUnavailable; `delete` also
    FileNotFoundError.
    """

    def __init__(self, root: Path, ours: Callable[[os.stat_result], bool], *, follow_links: bool) -> None:
        self._root = root
        self._ours = ours
        self._open_folder = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | (0 if follow_links else os.O_NOFOLLOW)
        self._renaming = Lock()

    def write(self, key: str, data: bytes, expected: str | None = None) -> str:
        """Write or replace a file; returns its version."""
        with _translating(key), self._place(key, create=True) as place:
            old = place.status()
            _require_regular(old, key, links=False)
            above = os.fstat(place.folder)
            unfinished = Place(place.folder, f"{UNFINISHED}{secrets.token_hex(8)}.part")
            descriptor = os.open(
                unfinished.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=place.folder
            )
            try:
                with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor is no path
                    file.write(data)
                    file.flush()
                    # It gets the permissions of the file it replaces, or of its folder; the service's own files are private.
                    os.fchmod(descriptor, stat.S_IMODE((old or above).st_mode) & 0o666)
                    with self._renaming:
                        _require_expected(place, key, expected)
                        version = _new_version(descriptor, place)
                        os.fsync(descriptor)
                        os.rename(unfinished.name, place.name, src_dir_fd=place.folder, dst_dir_fd=place.folder)
            except BaseException:
                with suppress(OSError):
                    os.unlink(unfinished.name, dir_fd=place.folder)
                raise
            os.fsync(place.folder)
            return version

    def delete(self, key: str, expected: str | None = None) -> None:
        with _translating(key, may_be_missing=True), self._place(key, create=False) as place:
            _require_regular(place.status(), key, links=True)
            with self._renaming:
                _require_expected(place, key, expected)
                os.unlink(place.name, dir_fd=place.folder)
            os.fsync(place.folder)

    @contextmanager
    def _place(self, key: str, *, create: bool) -> Iterator[Place]:
        *folders, name = key.split("/")
        descriptor = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for depth, folder in enumerate(folders, 1):
                below = self._enter(descriptor, folder, "/".join(folders[:depth]), create=create)
                os.close(descriptor)
                descriptor = below
                if self._ours(os.fstat(descriptor)):
                    raise InvalidKey(f"no image can have the key {key!r}: {folder!r} is a folder of this application's own data")
            yield Place(descriptor, name)
        finally:
            os.close(descriptor)

    def _enter(self, above: int, name: str, key: str, *, create: bool) -> int:
        try:
            return os.open(name, self._open_folder, dir_fd=above)
        except FileNotFoundError:
            if not create:
                raise
        except OSError as exc:
            if exc.errno in NO_FOLDER:
                raise InvalidKey(f"no image can lie below {key!r}, which is {_what(name, above)}") from exc
            raise
        with suppress(FileExistsError):  # made by another thread just now
            os.mkdir(name, stat.S_IMODE(os.fstat(above).st_mode) & 0o777, dir_fd=above)
            os.chmod(name, stat.S_IMODE(os.fstat(above).st_mode) & 0o777, dir_fd=above)
            os.fsync(above)
        return os.open(name, self._open_folder, dir_fd=above)


def _new_version(descriptor: int, place: Place) -> str:
    """Return the version of a file that is about to replace the one at `place`, after making their times differ.

    The clock of file times advances in steps of milliseconds: two files of equal size could have the same version, and the second
    would be overlooked.
    """
    written, old = os.fstat(descriptor), place.status()
    if old is not None and written.st_mtime_ns <= old.st_mtime_ns < written.st_mtime_ns + JUST_BEFORE_NS:
        os.utime(descriptor, ns=(written.st_atime_ns, old.st_mtime_ns + 1))
        written = os.fstat(descriptor)
    return version_of(written)


def _require_expected(place: Place, key: str, expected: str | None) -> None:
    if expected is not None:
        require_version(key, place.version(), expected)


def _require_regular(status: os.stat_result | None, key: str, *, links: bool) -> None:
    """Raise InvalidKey if something other than a file has the name; with `links`, a link counts as a file."""
    if status is None or stat.S_ISREG(status.st_mode) or (links and stat.S_ISLNK(status.st_mode)):
        return
    raise InvalidKey(f"{key!r} is {_kind(status.st_mode)} in the corpus, not a file; remove it there first")


def _what(name: str, above: int) -> str:
    try:
        return _kind(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode)
    except OSError:
        return "no folder"


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISLNK, "a link"), (stat.S_ISDIR, "a folder"), (stat.S_ISREG, "a file"), (stat.S_ISFIFO, "a pipe"))
    return next((words for is_kind, words in kinds if is_kind(mode)), "a device or a socket")


@contextmanager
def _translating(key: str, *, may_be_missing: bool = False) -> Iterator[None]:
    """Turn OSErrors into errors of `ml_api.errors`, except FileNotFoundError if the file `may_be_missing`."""
    try:
        yield
    except MlApiError:
        raise
    except OSError as exc:
        if may_be_missing and isinstance(exc, FileNotFoundError):
            raise
        raise _translated(exc, key) from exc


def _translated(exc: OSError, key: str) -> MlApiError:
    if exc.errno in NO_ROOM:
        return InsufficientStorage(f"no room is left in the corpus for {key!r}; nothing was written")
    if exc.errno == errno.ENAMETOOLONG:
        return InvalidKey(
            f"no image can have the key {key[:80]!r}…: a part of it is too long for the file system (255 bytes as a rule)"
        )
    if exc.errno == errno.EISDIR:
        return InvalidKey(f"{key!r} is a folder in the corpus, not a file; remove it there first")
    if exc.errno in NOT_ALLOWED:
        why = "the disk is mounted read-only" if exc.errno == errno.EROFS else "this service's user may not write there"
        return CorpusReadOnly(f"the corpus cannot be changed at {key!r}: {why}")
    return CorpusUnavailable(f"{key!r} cannot be written: {exc.strerror}")
