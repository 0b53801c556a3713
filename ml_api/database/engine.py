"""The connection to the database: transactions, timeouts, migrations."""

import errno
import logging
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from math import ceil
from pathlib import Path
from typing import Any, Final, Self

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.orm import DeclarativeBase, Session

from ml_api.database.failures import reason_of, shown, translated
from ml_api.database.migrating import revision_of, revisions, upgrade
from ml_api.database.write_lock import TIMEOUT_S, WriteLock
from ml_api.deadline import Deadline
from ml_api.errors import ConfigError
from ml_api.files import is_read_only

POOL: Final = 8
"""Connections at most; requests use one for milliseconds."""
MIGRATION_S: Final = 120
"""For a migration, and for one of another process: of many rows it takes longer than what requests may wait."""
_MIGRATING: Final = 0x6D6C_6170_69
"""Key of PostgreSQL's advisory lock while one process migrates and the others wait."""
_BEGIN: Final = "ml_api_begin"
"""Execution option of a connection: the statements that begin its transactions on SQLite."""
_DEFERRED: Final = (f"PRAGMA busy_timeout = {1000 * TIMEOUT_S}", "BEGIN")
"""On SQLite it takes its locks as it comes to need them; PostgreSQL has a BEGIN of its own."""

_log = logging.getLogger(__name__)


class Database:
    """Opened, migrated, ready. May be used from any thread; not across a fork."""

    def __init__(self, engine: Engine) -> None:
        """Use `open`."""
        self._engine = engine
        self._write_lock = WriteLock(self.location)
        """On SQLite, before a connection is taken: of many writers that wait for another process, one has a connection."""

    @classmethod
    def open(cls, url: str) -> Self:
        """`url` is SQLAlchemy's, or the path of a SQLite file. Creates what is missing, and migrates what is older.

        Raises ConfigError, also for a database that a newer version of this program has written.
        """
        engine = _engine(url)
        try:
            _migrate(engine)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine)

    @property
    def location(self) -> str:
        """For messages; without the password."""
        return shown(self._engine.url)

    @property
    def backend(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._engine.dialect.name

    def read(self) -> AbstractContextManager[Session]:
        """A transaction that only reads. Raises DatabaseUnavailable."""
        return self._transaction(_DEFERRED)

    @contextmanager
    def looking(self) -> Iterator[Connection]:
        """For statements that need not see the same moment, on SQLite without a transaction around them, which takes longer than a
        lookup. Raises DatabaseUnavailable.
        """
        with translated(self._engine.url), self._engine.connect().execution_options(**{_BEGIN: ()}) as connection:
            yield connection

    @contextmanager
    def write(self, deadline: Deadline | None = None) -> Iterator[Session]:
        """A transaction, durable when the context ends, undone if it ends in an error. Raises DatabaseUnavailable.

        On SQLite writers wait for each other from the start, for TIMEOUT_S or until the `deadline`, and few of them if nothing
        moves: one that began to read would fail when it came to write.
        """
        if self.backend != "sqlite":
            with self._transaction(_DEFERRED) as session:
                yield session
            return
        with self._write_lock.held(deadline) as left_s, self._transaction(_writing_within(left_s)) as session:
            yield session

    def insert(self, table: type[DeclarativeBase]) -> Any:
        """An INSERT with `on_conflict_do_update`, which SQLAlchemy has for each kind of database, and not for all."""
        return (postgresql if self.backend == "postgresql" else sqlite).insert(table)

    def ping(self) -> None:
        """Raise DatabaseUnavailable if it does not answer."""
        with self.read() as session:
            session.execute(text("SELECT 1"))

    def close(self) -> None:
        """Safe to call twice."""
        self._engine.dispose()

    @contextmanager
    def _transaction(self, begin: Sequence[str]) -> Iterator[Session]:
        with (
            translated(self._engine.url),
            self._engine.connect().execution_options(**{_BEGIN: begin}) as connection,
            Session(connection, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session


def _engine(url: str) -> Engine:
    """Raises ConfigError."""
    if "://" not in url:
        return _sqlite(Path(url))
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            return _sqlite(Path(parsed.database or ""))
        if parsed.get_backend_name() != "postgresql":
            raise ConfigError(f"ML_API_DATABASE_URL: {shown(parsed)} is neither a SQLite nor a PostgreSQL database")
        return create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            pool_size=POOL,
            max_overflow=0,
            pool_timeout=TIMEOUT_S,
            pool_pre_ping=True,
            connect_args={
                "connect_timeout": TIMEOUT_S,
                # A host that died, or a cable that was cut, answers nothing; TCP alone would wait for hours.
                "keepalives_idle": TIMEOUT_S,
                "keepalives_interval": 1,
                "keepalives_count": TIMEOUT_S,
                "tcp_user_timeout": 1000 * TIMEOUT_S,
                "options": f"-c statement_timeout={TIMEOUT_S}s -c lock_timeout={TIMEOUT_S}s",
            },
        )
    except (ArgumentError, NoSuchModuleError) as exc:
        raise ConfigError("ML_API_DATABASE_URL is no address of a database, such as postgresql://user:password@host/name") from exc
    except ModuleNotFoundError as exc:
        raise ConfigError(
            "ML_API_DATABASE_URL: the package psycopg is not installed: "
            "pip install -r requirements-postgresql.txt -c constraints.txt"
        ) from exc


def missing_file(url: str) -> Path | None:
    """The SQLite file that `Database.open` would make; None if it is there, for a server's, and for what is no address."""
    file: Path | None = Path(url)
    if "://" in url:
        try:
            parsed = make_url(url)
        except ArgumentError:
            return None
        file = Path(parsed.database or "") if parsed.get_backend_name() == "sqlite" else None
    return None if file is None or file.exists() else file


def _sqlite(path: Path) -> Engine:
    """Raises ConfigError."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _create(path)
    except OSError as exc:
        raise ConfigError(f"the database {path} cannot be opened: {exc.strerror}") from exc
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        pool_size=POOL,
        max_overflow=0,
        pool_timeout=TIMEOUT_S,
        connect_args={"timeout": TIMEOUT_S, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # else sqlite3 begins transactions of its own accord, and too late
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        for statement in connection.get_execution_options().get(_BEGIN, _writing_within(TIMEOUT_S)):
            connection.exec_driver_sql(statement)

    return engine


def _writing_within(seconds: float) -> Sequence[str]:
    return f"PRAGMA busy_timeout = {ceil(1000 * seconds)}", "BEGIN IMMEDIATE"


def _create(path: Path) -> None:
    """Private: keys' hashes lie here. Raises OSError.

    A file that is there is not opened: when it was closed, SQLite's connections in this process would lose their locks on it, and
    the next process to come would delete the log that they go on writing to (https://sqlite.org/howtocorrupt.html, section 2.2).
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        if not os.access(path, os.R_OK | os.W_OK, effective_ids=True):
            reason = errno.EROFS if is_read_only(path) else errno.EACCES
            raise OSError(reason, os.strerror(reason)) from None


def _migrate(engine: Engine) -> None:
    """One process at a time; the others wait for it. A database that is not old is only read. Raises ConfigError."""
    try:
        with engine.connect().execution_options(**{_BEGIN: _DEFERRED}) as connection, connection.begin():
            if not _is_old(connection):
                return
        writing = engine.connect().execution_options(**{_BEGIN: _writing_within(MIGRATION_S)})
        with writing as connection, connection.begin():
            if engine.dialect.name == "postgresql":
                for limit in ("lock_timeout", "statement_timeout"):
                    connection.execute(text(f"SET LOCAL {limit} = '{MIGRATION_S}s'"))
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATING})
            if _is_old(connection):
                upgrade(connection)
                _log.info("database     %s, at revision %s", shown(engine.url), revisions()[-1])
    except DBAPIError as exc:
        raise ConfigError(f"the database {shown(engine.url)} cannot be used: {reason_of(exc, engine.url)}") from exc


def _is_old(connection: Connection) -> bool:
    """Raises ConfigError if it is newer than this program."""
    found, known = revision_of(connection), revisions()
    if found is not None and found not in known:
        raise ConfigError(
            f"the database {shown(connection.engine.url)} was written by a newer version of this program (revision {found}; this "
            f"one knows up to {known[-1]}): install that version, or name another database"
        )
    return found != known[-1]
