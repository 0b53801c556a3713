"""Runs Milvus Lite's server in this process, for this user only, and gives access to its rows (`access.Rows`).

It has no passwords. On the TCP port of 127.0.0.1 on which pymilvus would start it, every user of the machine could read and drop
collections; a socket in a folder of mode 0700 can be used by its owner only, and no proxy in the environment applies to it.
"""

import fcntl
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from milvus_lite.adapter.grpc.server import start_server_in_thread

from ml_api import sockets
from ml_api.errors import ConfigError
from ml_api.records import Hit, Vectors
from ml_api.vectors.base import SearchOptions
from ml_api.vectors.filters import Filter
from ml_api.vectors.milvus.access import PageQuery
from ml_api.vectors.milvus.embedded import written
from ml_api.vectors.milvus.embedded.matching import Matching
from ml_api.vectors.milvus.embedded.parts import Passing, having
from ml_api.vectors.milvus.embedded.ranking import compared, nearest
from ml_api.vectors.milvus.embedded.snapshots import Snapshots
from ml_api.vectors.milvus.embedded.views import View
from ml_api.vectors.milvus.index import VectorIndex
from ml_api.vectors.milvus.schema import Row

PREFIX: Final = "ml-api-milvus-"
_SOCKET: Final = "milvus"
_STOP_S: Final = 2.0
_PLAIN: Final = re.compile(r"[\w./-]+", re.ASCII)
"""Paths of these characters are safe in `unix:` addresses, which gRPC parses as URIs."""


class LiteServer:
    """Serves the Milvus Lite folder `path` at `uri` until it is stopped. Raises ConfigError if no folder can have its socket."""

    def __init__(self, path: Path) -> None:
        self.folder, self._claim = _private_folder()
        self._matching = Matching()
        self._snapshots = Snapshots()
        try:
            # It listens at "{host}:{port}", so the socket is called "milvus:0".
            self._server, self._database, _ = start_server_in_thread(str(path), host=f"unix:{self.folder / _SOCKET}", port=0)
        except BaseException:
            self._remove_folder()
            raise

    @property
    def uri(self) -> str:
        return f"unix:{self.folder / _SOCKET}:0"

    def ranked(self, collection: str, vectors: Vectors, options: SearchOptions, index: VectorIndex) -> list[list[Hit]]:
        """See `Rows.ranked`."""
        parts = self._view(collection).parts()
        if options.exact or options.filter is not None:
            return compared(parts, vectors, options, index.metric, self._passing(options.filter))
        return nearest(parts, vectors, options, index.metric, index.search(options.window, embedded=True)["params"])

    def count(self, collection: str, wanted: Filter | None) -> int:
        """See `Rows.count`."""
        view = self._view(collection)
        if wanted is None:
            return view.count()
        return sum(len(part.among(self._matching.mask(part.segment, wanted))) for part in view.parts())

    def page(self, collection: str, after: str, asked: PageQuery) -> list[Row]:
        """See `Rows.page`."""
        return self._view(collection).in_order().page(after, asked, self._passing(asked.wanted))

    def of_ids(self, collection: str, ids: Sequence[str], fields: Sequence[str]) -> list[Row]:
        """See `Rows.of_ids`."""
        return self._view(collection).of_ids(ids, fields)

    def of_digests(self, collection: str, digests: Sequence[str], fields: Sequence[str]) -> list[Row]:
        """See `Rows.of_digests`."""
        parts = self._view(collection).parts()
        return [row for part in parts for row in part.rows(part.among(having(part.segment, "digest", digests)), fields)]

    def _passing(self, wanted: Filter | None) -> Passing | None:
        return None if wanted is None else partial(self._matching.mask, wanted=wanted)

    def _view(self, collection: str) -> View:
        return self._snapshots.of(self._engine(collection))

    def _engine(self, collection: str) -> Any:
        """Milvus Lite's collection. Raises MilvusException if it was dropped."""
        with written.as_answered():
            return self._database.get_collection(collection)

    def upsert(self, collection: str, rows: Sequence[Row]) -> None:
        """See `Rows.upsert`."""
        written.upsert(self._engine(collection), rows)

    def delete(self, collection: str, ids: Sequence[str]) -> None:
        """See `Rows.delete`."""
        written.delete(self._engine(collection), ids)

    def flush(self, collection: str) -> None:
        """See `Rows.flush`."""
        engine = self._engine(collection)
        with self._snapshots.flushing(engine):
            written.flush(engine)
        written.maintain(engine, partial(self._snapshots.merged, engine))

    @property
    def merging(self) -> bool:
        """Whether files are being merged, for which a flush would wait."""
        return any(map(written.is_merging, list(self._database._collections.values())))  # noqa: SLF001 - Milvus Lite is pinned

    def discard(self, timeout_s: float) -> None:
        """Forget all rows in memory, so that each collection is read from disk again at its next call. No other call may run
        meanwhile.

        Raises TimeoutError, as `written.discard` does.
        """
        written.discard(self._database, timeout_s)

    def stop(self) -> None:
        """Stop the server; no call may follow. Milvus Lite tries to flush its rows, and raises nothing if it cannot."""
        try:
            self._server.stop(grace=_STOP_S).wait()
            self._database.close()
        finally:
            self._remove_folder()

    def _remove_folder(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._claim)


def _private_folder() -> tuple[Path, int]:
    """Create a folder (0700) for the socket; returns it with a descriptor that holds its lock.

    Not every file system supports sockets, and their paths are short (`sockets`), so it is not beside the store.
    """
    for parent in sockets.parents(f"{PREFIX}12345678/{_SOCKET}:0"):
        if _PLAIN.fullmatch(parent):
            with suppress(OSError):
                _remove_left_behind(Path(parent))
                folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
                claim = _locked(folder, fcntl.LOCK_SH)  # fails if another process has just removed it: the next parent is tried
                if _takes_sockets(folder):
                    return folder, claim
                os.close(claim)
                folder.rmdir()
    raise ConfigError(
        "the embedded store finds no folder for its socket: set TMPDIR to one that can be written and whose path is short"
    )


def _remove_left_behind(parent: Path) -> None:
    """Remove the socket folders of processes that were killed, whose locks are free. Nothing else is touched."""
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):
            claim = _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                (folder / f"{_SOCKET}:0").unlink(missing_ok=True)
                folder.rmdir()
            finally:
                os.close(claim)


def _locked(folder: Path, how: int) -> int:
    """Lock a folder of this user as flock(2) does; returns its descriptor. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(descriptor).st_uid != os.geteuid():
            raise PermissionError(folder)
        fcntl.flock(descriptor, how)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _takes_sockets(folder: Path) -> bool:
    path = folder / f"{_SOCKET}:0"
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.bind(str(path))
        except OSError:
            return False
    path.unlink()
    return True
