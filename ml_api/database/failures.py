"""What goes wrong in a database and its driver, as our errors."""

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from ml_api.errors import DatabaseFull, DatabaseUnavailable
from ml_api.files import NO_ROOM, TAKES_NO_LOCKS, locks_are_missing

_DISK_FULL: Final = "53100"
"""PostgreSQL's code for it."""
_LOG: Final = "-wal"
"""What a SQLite file's name ends with in that of its log, into which it writes first."""
_ROOM: Final = 16 * 1024
"""More than SQLite writes at once: a page, as a rule of 4 KiB, with its header."""


@contextmanager
def translated(url: URL) -> Iterator[None]:
    """Raises DatabaseUnavailable for what the database or its driver raises; a violated constraint is the caller's to handle."""
    try:
        yield
    except DBAPIError as exc:
        if type(exc).__name__ == "IntegrityError":
            raise
        if _is_full(exc.orig, url):
            raise DatabaseFull(f"The disk is full on which the database {shown(url)} lies; nothing was changed.") from exc
        raise DatabaseUnavailable(f"The database {shown(url)} does not answer ({reason_of(exc, url)}).") from exc
    except PoolTimeoutError as exc:
        raise DatabaseUnavailable(f"All connections of the database {shown(url)} are in use.") from exc


def shown(url: URL) -> str:
    """For messages; without the password."""
    return url.database or "" if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=True)


def reason_of(exc: DBAPIError, url: URL) -> str:
    """What the driver says, in a line. SQLite calls a database locked to which another program writes, and does not say who, and
    so it calls one that it cannot lock at all."""
    if getattr(exc.orig, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
        return TAKES_NO_LOCKS if locks_are_missing(Path(url.database or "").parent) else "another program keeps it locked"
    return next(iter(str(exc.orig).splitlines()), type(exc.orig).__name__)


def _is_full(exc: BaseException | None, url: URL) -> bool:
    """SQLite needs room for its index of the write-ahead log (-shm), too. Of other failures to write it says no reason."""
    code = getattr(exc, "sqlite_errorcode", 0)
    if code & 0xFF == sqlite3.SQLITE_IOERR and code != sqlite3.SQLITE_IOERR_SHMSIZE:
        return _has_no_room(Path(url.database or ""))
    return code in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE} or getattr(exc, "sqlstate", None) == _DISK_FULL


def _has_no_room(path: Path) -> bool:
    """Whether the system lets no file there become longer than those of the database are."""
    try:
        files = [path, path.with_name(path.name + _LOG)]
        with tempfile.TemporaryFile(dir=path.parent) as probe:
            probe.seek(max(file.stat().st_size for file in files if file.exists()))
            probe.write(bytes(_ROOM))
    except OSError as exc:
        return exc.errno in NO_ROOM
    return False
