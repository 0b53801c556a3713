"""Thumbnails, made on demand and kept on disk: in bounds, the longest unused go first, those of lost pictures with the next sync.

The files are the only state, so that a sync may prune what a service keeps, and either may be killed at any moment. Whatever goes
wrong costs speed, never an answer.
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
"""Sharp at the 256 or so pixels of a grid's cell on a screen of double density."""

_SUFFIX: Final = f"-{EDGE_PX}.webp"
_LOW: Final = 0.9
"""How full it is after making room: looking at every file is worth it once in a tenth of the whole."""
_TOUCH_EVERY_S: Final = 3600.0
"""A read is noted in the file's time, as disks are mounted to forget reads; this often is enough to tell what is in use."""
_ABANDONED_S: Final = 3600.0
"""No file takes this long to write: who began it was killed."""
_COMPLAIN_EVERY_S: Final = 600.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    size: int
    used: float
    """Seconds since the epoch."""

    @property
    def digest(self) -> str:
        return self.path.name.partition("-")[0]


class Thumbnails:
    """Of stored images, each under the digest of the file that it shows."""

    def __init__(self, cache: "ThumbnailCache", decoder: Decoder) -> None:
        self._cache = cache
        self._decoder = decoder

    def cached(self, digest: str) -> bytes | None:
        return self._cache.get(digest)

    def make(self, digest: str, data: bytes, deadline: Deadline | None = None) -> bytes:
        """Draw and keep the thumbnail of the image file `data`, whose sha256 is `digest`. Raises as `Decoder.thumbnail` does."""
        thumbnail = self._decoder.thumbnail(data, EDGE_PX, deadline)
        self._cache.put(digest, thumbnail)
        return thumbnail


class ThumbnailCache:
    """At most `max_bytes` of thumbnails below `folder`, each under the digest of the file shown. Thread-safe; raises no OSError."""

    def __init__(self, folder: Path, max_bytes: int, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._clock = clock
        self._counting = Lock()
        self._making_room = Lock()
        self._held = max_bytes
        """Bytes at most, as far as this process knows: it looks when it keeps its first, and whenever that would be too much."""
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
        return data or None  # a file that lost its content with the power

    def put(self, digest: str, data: bytes) -> None:
        try:
            write_whole(self._path(digest), data)
        except OSError as exc:
            self._complain(exc)
            return
        with self._counting:
            self._held += len(data)
            full = self._held > self._max_bytes
        if full and self._making_room.acquire(blocking=False):  # one does it, beside those who go on
            try:
                self._make_room()
            finally:
                self._making_room.release()

    def prune(self, digests: Iterable[str]) -> int:
        """Remove the thumbnails whose digests are not among `digests`, which are not read where nothing is kept. How many went."""
        gone: dict[str, list[Path]] = {}
        for file in self._files():
            gone.setdefault(file.digest, []).append(file.path)
        if gone:
            for digest in digests:
                gone.pop(digest, None)
        return sum(_remove(path) for paths in gone.values() for path in paths)

    def _make_room(self) -> None:
        """Count anew; if it is too much, remove what was not used for longest. What is added meanwhile may count twice."""
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
        """All thumbnails. What a process that died began to write is removed on the way."""
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
        """Now and then: a disk stays full for a while, and each picture would say so."""
        if self._clock() >= self._silent_until:
            self._silent_until = self._clock() + _COMPLAIN_EVERY_S
            _log.warning("thumbnails are drawn for each request, as they cannot be kept in %s: %s", self._folder, exc.strerror)


def _remove(path: Path) -> bool:
    """Whether it went now. One that cannot go is left for the next time."""
    try:
        path.unlink()
    except OSError:
        return False
    return True
