"""Implements Objects by fsspec's interface, for every URL that it opens, except S3's. That has no conditional writes: what is there
is looked at just before.

A listing goes folder by folder and holds the entries of the folders above, so its memory depends on the largest folders.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, BinaryIO, Final

from fsspec import AbstractFileSystem
from fsspec.asyn import AsyncFileSystem, sync

from ml_api.corpus.base import CorpusFile, no_file, too_large
from ml_api.corpus.bucket.objects import CALL_TIMEOUT_S, WRITE_TIMEOUT_S
from ml_api.corpus.versions import MISSING, require_version
from ml_api.errors import CorpusReadOnly, CorpusUnavailable, InsufficientStorage, MlApiError, NotFound
from ml_api.files import NO_ROOM

ETAGS: Final = ("ETag", "etag", "e_tag")
TIMES: Final = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")
"""The names of ETags and modification times in different file systems; the first that is present counts."""

READS: Final = 3
"""How often an object is read that is replaced meanwhile."""


class FilesystemObjects:
    """Objects below `path` of an fsspec file system."""

    def __init__(self, fs: AbstractFileSystem, path: str, location: str) -> None:
        self._fs = fs
        self._path = path.rstrip("/")
        self.root = path.strip("/")
        self.location = location

    @property
    def writable(self) -> bool:
        return True

    def list(self, prefix: str) -> Iterator[CorpusFile]:
        open_folders = [iter(self._entries("", prefix))]
        while open_folders:
            entry = next(open_folders[-1], None)
            if entry is None:
                open_folders.pop()
            elif entry[0].endswith("/"):
                open_folders.append(iter(self._entries(entry[0], prefix)))
            elif entry[0].startswith(prefix):
                yield CorpusFile(entry[0], _version(entry[1]))

    def version(self, key: str) -> str:
        return _version(self._info(key))

    def read(self, key: str, to: BinaryIO, max_bytes: int, timeout_s: float) -> None:
        for _ in range(READS):
            info = self._info(key)
            if info["size"] is not None and info["size"] > max_bytes:
                raise too_large(max_bytes)
            with self._translated(key):
                data = bytes(self._ask("cat_file", self._at(key), timeout_s=timeout_s))
            if len(data) > max_bytes:
                raise too_large(max_bytes)
            if info["size"] in {None, len(data)}:
                to.write(data)
                return
        raise CorpusUnavailable(f"cannot be read: its body broke off, or it was replaced, {READS} times")

    def write(self, key: str, data: bytes, expected: str | None = None) -> str:
        self._require(key, expected)
        with self._translated(key, writing=True):
            self._ask("pipe_file", self._at(key), data, timeout_s=WRITE_TIMEOUT_S)
        return self.version(key)

    def delete(self, key: str, expected: str | None = None) -> None:
        require_version(key, self.version(key), expected)
        with self._translated(key, writing=True):
            self._ask("rm_file", self._at(key))

    def _require(self, key: str, expected: str | None) -> None:
        if expected is None:
            return
        try:
            now = self.version(key)
        except NotFound:
            now = MISSING
        require_version(key, now, expected)

    def _entries(self, folder: str, prefix: str) -> Sequence[tuple[str, dict[str, Any]]]:
        """The keys in a folder with fsspec's `info` of each, sorted; a folder's key ends in a slash. Empty if there is no
        folder."""
        try:
            with self._translated(""):
                listed = self._ask("ls", self._at(folder.rstrip("/")), detail=True)
        except FileNotFoundError:  # a folder without objects does not exist
            return []
        entries = []
        for info in listed:
            key = info["name"].strip("/").removeprefix(f"{self.root}/").removeprefix(self.root)
            if info["type"] == "directory":
                key = f"{key.rstrip('/')}/"
            if key != folder and key.startswith(folder) and (key.startswith(prefix) or prefix.startswith(key)):
                entries.append((key, info))
        return sorted(entries, key=lambda entry: entry[0])

    def _info(self, key: str) -> dict[str, Any]:
        with self._translated(key):
            info: dict[str, Any] = self._ask("info", self._at(key))
        if info["type"] != "file":
            raise no_file(key)
        return info

    def _ask(self, method: str, *arguments: Any, timeout_s: float = CALL_TIMEOUT_S, **named: Any) -> Any:
        """Call a method of the file system; `timeout_s` limits asynchronous file systems, which those of clouds are."""
        if isinstance(self._fs, AsyncFileSystem):
            return sync(self._fs.loop, getattr(self._fs, f"_{method}"), *arguments, timeout=timeout_s, **named)
        return getattr(self._fs, method)(*arguments, **named)

    def _at(self, key: str) -> str:
        return f"{self._path}/{key}" if key else self._path

    @contextmanager
    def _translated(self, key: str, *, writing: bool = False) -> Iterator[None]:
        try:
            yield
        except Exception as exc:  # each file system has its own: of google.auth, azure.core, aiohttp, requests, paramiko
            if not key and isinstance(exc, FileNotFoundError):
                raise
            raise self._error(exc, key, writing=writing) from exc

    def _error(self, exc: Exception, key: str, *, writing: bool) -> MlApiError:
        if isinstance(exc, FileNotFoundError) and not writing:
            return no_file(key)
        if writing and isinstance(exc, PermissionError | NotImplementedError):
            return CorpusReadOnly(f"the corpus cannot be changed at {key!r}: {self.location} takes no writes from this service")
        if writing and isinstance(exc, OSError) and exc.errno in NO_ROOM:
            return InsufficientStorage(f"no room is left in the corpus for {key!r}; nothing was written")
        what = "denies access" if isinstance(exc, PermissionError) else f"failed: {type(exc).__name__}"
        return CorpusUnavailable(f"{self.location} {what}" + (f" ({key!r})" if key else ""))


def _version(info: dict[str, Any]) -> str:
    if etag := next((info[name] for name in ETAGS if info.get(name)), None):
        return str(etag).strip('"')
    changed = next((info[name] for name in TIMES if info.get(name) is not None), "")
    return f"{info['size']}-{changed.timestamp() if isinstance(changed, datetime) else changed}"
