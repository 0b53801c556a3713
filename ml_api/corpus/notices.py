"""Watches a folder for changes, for `indexing.watcher`, and detects when the system may have missed some.

watchfiles 1.3 reports which paths have changed, and is silent about three failures. When the kernel's queue overflows, events are
dropped: of 20,000 files made at once 5,462 were reported. Folders that cannot be watched are left out, or all files are polled
every 300 ms, which misses files replaced within a second. A name that is not UTF-8 ends the watching for good. Each of these is
reported here as a reason to list the whole folder.
"""

import ctypes
import errno
import logging
import os
import stat
import sys
import threading
import time
from collections.abc import Collection, Generator, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from watchfiles import Change, watch
from watchfiles.main import FileChange

from ml_api.corpus.base import FOLDER, FOLDER_GONE, Noticed
from ml_api.corpus.ignoring import IGNORE_FILE
from ml_api.corpus.versions import MISSING, version_of
from ml_api.corpus.walking import Identity, identity_of, is_empty

TICK_MS: Final = 200
"""How long `next` waits for a change."""
STEP_MS: Final = 100
TOGETHER_MS: Final = 400
"""Changes are reported after a step without any, at the latest after TOGETHER_MS."""
MANY: Final = 2000
"""As many changes at once may have overflowed the kernel's queue (fs.inotify.max_queued_events, 16,384 as a rule; a new file is
three events)."""
LIST_EVERY_S: Final = 60.0
"""How often the folder is listed where it cannot be watched."""
LISTEN_AGAIN_S: Final = 600.0
"""How often watching is tried again where it fails."""
BROKEN_S: Final = 60.0
"""An error so soon after the last one will come again: a name that ends the watching does so at each listing of its folder, and
thus at each sync, which the end of the watching asks for."""

TOO_MANY_FOLDERS: Final = "the system cannot watch every folder of it"
MORE_WATCHES: Final = "Raise fs.inotify.max_user_watches (and max_user_instances) with sysctl"
UNDECODABLE: Final = "Unable to decode path"
"""What watchfiles says of a name that is not UTF-8."""
BEGINNING: Final = "what happened before the start is not known"
MOUNTS: Final = Path("/proc/self/mountinfo")
DESCRIPTORS: Final = Path("/proc/self/fdinfo")

_IN_DELETE_SELF: Final = 0x400
_NO_MORE: Final = (errno.ENOSPC, errno.EMFILE, errno.ENFILE, errno.ENOMEM)

_log = logging.getLogger(__name__)

Place = tuple[Identity, tuple[str, ...]]
"""The identity of the folder, and the file systems that are mounted in it."""


class FolderNotices:
    """The Notices of a folder, a path without links. Changes below `ours`, the folders of this application's own data, are left
    out."""

    def __init__(self, root: Path, ours: Iterable[Path] = (), *, every_s: float = LIST_EVERY_S, many: int = MANY) -> None:
        self._root = root
        below = [path for path in (path.resolve() for path in ours) if path.is_relative_to(root) and path != root]
        self._ours = [f"{path.relative_to(root)}/" for path in below]
        self._every_s = every_s
        self._many = many
        self._closed = threading.Event()
        self._place: Place | None = None
        self._is_away = False
        self._stream: Generator[set[FileChange], None, None] | None = None
        self._begin_at = 0.0
        self._list_at = 0.0
        self._broken_at = -BROKEN_S
        self._folders = set[str]()

    def next(self) -> Noticed:
        place = self._present_place()
        if place is None:
            self._end()
            self._is_away = True
            self._closed.wait(TICK_MS / 1000)
            return Noticed(away=True)
        if self._is_away or place != self._place:
            why = BEGINNING if self._place is None else "the folder, or what is mounted in it, was another one"
            self._place, self._is_away = place, False
            return self._begin(why)
        if self._stream is not None:
            return self._take(self._stream)
        if time.monotonic() >= self._begin_at:
            return self._begin("the folder is watched again")
        return self._wait()

    def state(self, key: str) -> str:
        try:
            status = (self._root / key).stat()
        except (OSError, ValueError):
            return FOLDER_GONE if key in self._folders else MISSING
        return FOLDER if stat.S_ISDIR(status.st_mode) else version_of(status)

    def close(self) -> None:
        self._closed.set()

    def _present_place(self) -> Place | None:
        """The place of the folder; None while it is missing, or is another, empty one: the mount point of a disk."""
        identity = identity_of(self._root)
        if identity is None or not self._root.is_dir():
            return None
        if self._place is not None and identity != self._place[0] and is_empty(self._root):
            return None
        return identity, _mounted_below(self._root)

    def _begin(self, why: str) -> Noticed:
        self._end()
        try:
            self._stream = stream = watch(
                self._root,
                watch_filter=None,
                debounce=TOGETHER_MS,
                step=STEP_MS,
                rust_timeout=TICK_MS,
                yield_on_timeout=True,
                stop_event=self._closed,
                ignore_permission_denied=True,
            )
            first = next(stream, set[FileChange]())
        except (OSError, RuntimeError) as exc:
            return self._break(exc)
        if sys.platform == "linux" and not (_inotify_listens() and _may_watch_another(self._root)):
            return self._list_instead()
        self._folders = self._folders_below("")
        return Noticed(self._keys(first), lost=why)

    def _take(self, stream: Generator[set[FileChange], None, None]) -> Noticed:
        try:
            changes = next(stream, set[FileChange]())
        except (OSError, RuntimeError) as exc:
            return self._break(exc)
        added = self._keys([change for change in changes if change[0] is Change.added])
        folders = {key for key in added if self.state(key) == FOLDER}
        for folder in folders:
            self._folders |= {folder} | self._folders_below(folder)
        if folders and sys.platform == "linux" and not _may_watch_another(self._root):
            return self._list_instead()
        lost = (
            f"{len(changes):,} changes came at once, of which the system may have lost some" if len(changes) >= self._many else ""
        )
        return Noticed(self._keys(changes), lost)

    def _break(self, exc: Exception) -> Noticed:
        broken_at, self._broken_at = self._broken_at, time.monotonic()
        if self._broken_at - broken_at < BROKEN_S:
            remedy = "Rename what has a name that is not UTF-8" if UNDECODABLE in str(exc) else MORE_WATCHES
            return self._list_instead(f"watching it failed twice ({exc})", remedy)
        self._end()
        self._begin_at = self._broken_at
        return Noticed(lost=f"watching failed ({exc})")

    def _list_instead(self, why: str = TOO_MANY_FOLDERS, remedy: str = MORE_WATCHES) -> Noticed:
        self._end()
        self._begin_at = time.monotonic() + LISTEN_AGAIN_S
        self._list_at = time.monotonic() + self._every_s
        _log.warning(
            "%s: %s. Its files are looked at every %g s instead. %s; watching is tried again every %g min",
            *(self._root, why, self._every_s, remedy, LISTEN_AGAIN_S / 60),
        )
        return Noticed(lost="the folder cannot be watched")

    def _wait(self) -> Noticed:
        self._closed.wait(TICK_MS / 1000)
        if time.monotonic() < self._list_at:
            return Noticed()
        self._list_at = time.monotonic() + self._every_s
        return Noticed(lost="the folder cannot be watched")

    def _end(self) -> None:
        self._folders = set()
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _keys(self, changes: Collection[FileChange]) -> frozenset[str]:
        return frozenset(key for _, path in changes if (key := self._key(path)))

    def _key(self, path: str) -> str:
        """The key of a path; "" for hidden files, and for those below `ours`."""
        key = path[len(str(self._root)) + 1 :]
        if key != IGNORE_FILE and (key.startswith(".") or "/." in key):
            return ""
        return "" if any(key.startswith(ours) for ours in self._ours) else key

    def _folders_below(self, key: str) -> set[str]:
        """The folders below `key`, and links to folders, which are not entered."""
        top = self._root / key
        return {
            os.path.relpath(Path(folder, name), self._root)
            for folder, names, _ in os.walk(top)
            for name in names
            if not name.startswith(".")
        }


def _mounted_below(root: Path) -> tuple[str, ...]:
    """The lines of proc_pid_mountinfo(5) for the folder and below; () on other systems."""
    try:
        lines = MOUNTS.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ()
    below = f"{root}/".replace(" ", "\\040")
    return tuple(line for line in lines if f"{line.split(' ')[4]}/".startswith(below))


def _inotify_listens() -> bool:
    """Whether this process watches anything by inotify(7): where it cannot, watchfiles polls instead."""
    for descriptor in DESCRIPTORS.iterdir():
        with suppress(OSError), descriptor.open() as info:
            if "inotify wd" in info.read(4096):
                return True
    return False


def _may_watch_another(folder: Path) -> bool:
    """Whether the system lets this user watch one more folder; watchfiles does not report folders that it could not watch."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_CLOEXEC)
    if descriptor < 0:
        return ctypes.get_errno() not in _NO_MORE
    try:
        watched = libc.inotify_add_watch(descriptor, os.fsencode(folder), _IN_DELETE_SELF)
        return watched >= 0 or ctypes.get_errno() not in _NO_MORE
    finally:
        os.close(descriptor)
