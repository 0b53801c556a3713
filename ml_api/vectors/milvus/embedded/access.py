"""Decides when a Milvus Lite folder may be read and written. It loses acknowledged rows unless every rule here is kept.

- One process: a lock file beside the folder, held as long as the store is open.
- One writer at a time: two interleave their log records and sequence numbers (measured: 6 threads, 125 rows lost).
- Nobody reads while it is closed, or all is read from the disk again. Beside writes and flushes everybody may (`snapshots`).
- No write after one that failed, until all is read from the disk again: the log may end in half a record, behind which nothing is
  recovered, and the next flush that succeeds deletes the logs of the one that did not.
- Nothing at all in a forked child. Programs that are started meanwhile inherit neither lock: both files are closed on exec.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from threading import Lock

from milvus_lite import DataDirLockedError

from ml_api.errors import ConfigError, StoreUnavailable
from ml_api.vectors.milvus.access import check_process
from ml_api.vectors.milvus.embedded import owning
from ml_api.vectors.milvus.embedded.flushing import Unflushed
from ml_api.vectors.milvus.embedded.locks import SharedLock, patient
from ml_api.vectors.milvus.embedded.recovery import Recovery
from ml_api.vectors.milvus.embedded.server import LiteServer

_INDEX_FILES = "collections/*/partitions/*/indexes/*.idx"

_log = logging.getLogger(__name__)


class EmbeddedAccess:
    """An Access to the Milvus Lite folder at `path`. Other processes are kept out while it is open."""

    backend = "milvus-lite"

    def __init__(self, path: str, timeout_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = Path(path).expanduser().absolute()
        self._timeout_s = timeout_s
        self._process = os.getpid()
        self._lock_file: int | None = None
        self._server: LiteServer | None = None
        self._writer = Lock()
        self._readers = SharedLock()
        self._flushes: list[Callable[[], None]] = []
        self._unflushed = Unflushed(clock)
        self._recovery = Recovery(self._path, clock)

    def open(self) -> str:
        """Raises ConfigError if the folder is in use, no folder, another user's, or cannot be written."""
        if self._path.is_file():
            raise ConfigError(
                f"{self._path} is a file, perhaps of Milvus Lite 2; version 3 keeps a folder. Move it away and sync again"
            )
        try:
            owning.require_same_user(self._path)
            owning.make_private(self._path)
            self._lock_file = owning.lock(self._path)
            owning.require_access(self._path)
            self._server = LiteServer(self._path)
            owning.write_holder(self._lock_file, self._server.folder)
        except BaseException as exc:
            self._let_go()
            if isinstance(exc, DataDirLockedError):
                raise ConfigError(f"{self._path} is in use by another program that opened it with Milvus Lite") from exc
            if isinstance(exc, OSError):
                raise ConfigError(
                    f"the vector store cannot be kept in {self._path}: {exc.strerror}; choose another ML_API_DATA_DIR, or "
                    "ML_API_MILVUS_URI if that names it"
                ) from exc
            raise
        self._process = os.getpid()
        return self._server.uri

    def repair(self) -> bool:
        """Remove the index files. Milvus Lite writes them in place, so a crash leaves half of one, and then the collection does not
        load; those that are missing it builds anew from the rows."""
        files = list(self._path.glob(_INDEX_FILES))
        for file in files:
            file.unlink()
        if files:
            _log.warning("the collection does not load; its %d index files in %s are built anew", len(files), self._path)
        return bool(files)

    def attach(self, flush: Callable[[], None]) -> None:
        """Flush what a crash left in the log: recovered rows are as slow to search as new ones."""
        with self._writing():
            self._flushes.append(flush)
            self._flush()

    def detach(self, flush: Callable[[], None]) -> None:
        """Also if it cannot be flushed now: once it is dropped, its flush would fail, and the whole store with it."""
        try:
            self.flush()
        finally:
            self._flushes = [one for one in self._flushes if one != flush]

    @contextmanager
    def reading(self, timeout_s: float) -> Iterator[None]:
        self.check()
        with patient("it is being closed, or read from the disk again", timeout_s), self._readers.shared(timeout_s):
            yield

    def searching(self, timeout_s: float) -> AbstractContextManager[None]:
        self._unflushed.searched()
        return self.reading(timeout_s)

    @property
    def rows(self) -> LiteServer:
        """Raises StoreUnavailable if it was closed before the caller came in."""
        if self._server is None:
            raise StoreUnavailable("the vector store is closed", reason="closed")
        return self._server

    @contextmanager
    def writing(self, rows: int, size: int) -> Iterator[None]:
        with self._writing():
            try:
                yield
            except BaseException as exc:
                self._recovery.failed("a write failed", exc)
                raise
            self._unflushed.add(rows, size)
            if self._unflushed.due:
                self._flush()

    def flush(self) -> None:
        with self._writing():
            self._flush()

    def check(self) -> None:
        check_process(self._process)
        self._recovery.check()

    def tend(self, load: Callable[[], None]) -> None:
        check_process(self._process)
        if self._recovery.is_due():
            self._recover(load)
        elif self._unflushed.due and not self.rows.merging and self._writer.acquire(blocking=False):  # who writes flushes, too
            try:
                self.check()
                self._flush()
            finally:
                self._writer.release()

    def _recover(self, load: Callable[[], None]) -> None:
        with self._turn(), self._without_readers():
            with patient("its files are still being merged", self._timeout_s):
                self.rows.discard(self._timeout_s)
            load()
            self._flush()
            self._recovery.succeeded()

    def close(self, disconnect: Callable[[], None]) -> None:
        """Flush, stop Milvus Lite, and free the folder. What cannot be flushed now stays in the log, for the next process.

        After an earlier failure the folder stays locked until the process ends.
        """
        if os.getpid() != self._process or self._lock_file is None:
            return
        with suppress(StoreUnavailable), self._writing(), self._without_readers():  # a flush that fails is logged
            try:
                self._flush()
            finally:
                disconnect()
                self._let_go()

    def _let_go(self) -> None:
        self._flushes = []
        server, self._server = self._server, None
        lock_file, self._lock_file = self._lock_file, None
        try:
            if server is not None:
                server.stop()
        finally:
            if lock_file is not None:
                os.close(lock_file)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self.check()
        with self._turn():
            self.check()
            _ = self.rows  # refused after `close`, which is no write that failed
            yield

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """That of the one writer."""
        if not self._writer.acquire(timeout=self._timeout_s):
            raise StoreUnavailable(
                f"the vector store is busy: another write has been going on for {self._timeout_s:g} s", reason="timeout"
            )
        try:
            yield
        finally:
            self._writer.release()

    @contextmanager
    def _without_readers(self) -> Iterator[None]:
        """Twice as patient as a reader can take."""
        with patient("searches are still running", self._timeout_s), self._readers.alone(2 * self._timeout_s):
            yield

    def _flush(self) -> None:
        """With the writer's lock held."""
        try:
            for flush in self._flushes:
                flush()
        except BaseException as exc:
            self._recovery.failed("writing its files failed", exc)
            raise
        self._unflushed.clear()
