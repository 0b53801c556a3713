"""Makes thumbnails on demand for the API, and caches them on disk: the least recently used are evicted, and syncs remove those of
deleted images.

The files are the only state, so that a sync can prune the cache of a running service and both can be killed at any moment. If the
cache fails, thumbnails are made again.
"""

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final

from ml_api.deadline import Deadline
from ml_api.files import TEMPORARY, write_whole
from ml_api.images import Decoder

EDGE_PX: Final = 512
"""Sharp in a grid cell of about 256 CSS pixels on a screen of double density."""

_SUFFIX: Final = f"-{EDGE_PX}.webp"
_LOW: Final = 0.9
"""The share of its size to which a full cache is reduced, so that files are not listed at every `put`."""
_TOUCH_EVERY_S: Final = 3600.0
"""A read updates the file's modification time at most this often; most disks are mounted without access times."""
_ABANDONED_S: Final = 3600.0
"""A temporary file of this age belongs to a process that was killed."""
_COMPLAIN_EVERY_S: Final = 600.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    size: int
    used: float
    """Time of the last use, in seconds since the epoch."""

    @property
    def digest(self) -> str:
        return self.path.name.partition("-")[0]


class Thumbnails:
    """Thumbnails of stored images, by the digest of the image file."""

    def __init__(self, cache: "ThumbnailCache", decoder: Decoder) -> None:
        self._cache = cache
        self._decoder = decoder

    def cached(self, digest: str) -> bytes | None:
        return self._cache.get(digest)

    def make(self, digest: str, data: bytes, deadline: Deadline | None = None) -> bytes:
        """Make and cache the thumbnail of the image file `data`, whose SHA-256 is `digest`. Raises as `Decoder.thumbnail` does."""
        thumbnail = self._decoder.thumbnail(data, EDGE_PX, deadline)
        self._cache.put(digest, thumbnail)
        return thumbnail


class ThumbnailCache:
    """At most `max_bytes` of thumbnails below `folder`, by the digest of the image file. Thread-safe; raises no OSError."""

    def __init__(self, folder: Path, max_bytes: int, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._clock = clock
        self._counting = Lock()
        self._making_room = Lock()
        self._held = max_bytes
        """Upper bound of the bytes in the cache, as this process knows it; files are counted at the first `put` and when it is
        full."""
        self._silent_until = 0.0

    def get(self, digest: str) -> bytes | None:
        path = self._path(digest)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        with suppress(OSError):
            if self._clock() - path.stat().st_mtime > _TOUCH_EVERY_S:
                os.utime(path, (self._clock(),) * 2)
        return data or None  # a file may be empty after a power failure

    def put(self, digest: str, data: bytes) -> None:
        try:
            write_whole(self._path(digest), data)
        except OSError as exc:
            self._complain(exc)
            return
        with self._counting:
            self._held += len(data)
            full = self._held > self._max_bytes
        if full and self._making_room.acquire(blocking=False):  # one thread makes room, the others continue
            try:
                self._make_room()
            finally:
                self._making_room.release()

    def prune(self, digests: Iterable[str]) -> int:
        """Remove the thumbnails whose digests are not in `digests`; returns their number. An empty cache reads no `digests`."""
        gone: dict[str, list[Path]] = {}
        for file in self._files():
            gone.setdefault(file.digest, []).append(file.path)
        if gone:
            for digest in digests:
                gone.pop(digest, None)
        return sum(_remove(path) for paths in gone.values() for path in paths)

    def _make_room(self) -> None:
        """Count the bytes again, and remove the least recently used files if they are too many. Files that are added meanwhile may
        count twice."""
        before = self._held
        files = sorted(self._files(), key=lambda file: file.used, reverse=True)
        held = sum(file.size for file in files)
        if held > self._max_bytes:
            while files and held > self._max_bytes * _LOW:
                oldest = files.pop()
                _remove(oldest.path)
                held -= oldest.size
        with self._counting:
            self._held += held - before

    def _files(self) -> Iterator[_File]:
        """All thumbnails. Removes temporary files of killed processes."""
        for path in self._folder.glob("??/*"):
            with suppress(OSError):  # another process may have removed it just now
                status = path.stat()
                if path.name.endswith(_SUFFIX):
                    yield _File(path, status.st_size, status.st_mtime)
                elif path.name.startswith(TEMPORARY) and self._clock() - status.st_mtime > _ABANDONED_S:
                    path.unlink()

    def _path(self, digest: str) -> Path:
        return self._folder / digest[:2] / f"{digest}{_SUFFIX}"

    def _complain(self, exc: OSError) -> None:
        """Log at most every ten minutes: while a disk is full, every thumbnail fails."""
        if self._clock() >= self._silent_until:
            self._silent_until = self._clock() + _COMPLAIN_EVERY_S
            _log.warning("thumbnails cannot be cached in %s and are made for each request: %s", self._folder, exc.strerror)


def _remove(path: Path) -> bool:
    """Remove a file; returns whether it was removed. A file that cannot be removed is tried again next time."""
    try:
        path.unlink()
    except OSError:
        return False
    return True
