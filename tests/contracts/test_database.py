"""The service's own database, on SQLite and on PostgreSQL."""

import errno
import fcntl
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path
from time import perf_counter

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError, OperationalError

from ml_api.database import Database
from ml_api.database.engine import POOL
from ml_api.database.migrating import MIGRATIONS, revisions
from ml_api.database.tables import FailureRow, Table
from ml_api.database.write_lock import PATIENT, STUCK_S, TIMEOUT_S
from ml_api.deadline import Deadline
from ml_api.errors import ConfigError, DatabaseFull, DatabaseUnavailable
from ml_api.settings.conditions import require_writable
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]


def failure(key):
    return FailureRow(corpus="/photos", key=key, version="1", made_with="x", code="image-damaged", reason="broken")


def count(database):
    with database.read() as session:
        return session.scalar(select(func.count()).select_from(FailureRow))


def test_what_was_written_is_there_after_it_is_opened_again(database_url):
    first = Database.open(database_url)
    with first.write() as session:
        session.add(failure("a.jpg"))
    first.close()

    again = Database.open(database_url)

    with again.read() as session:
        assert session.scalar(select(FailureRow.reason)) == "broken"
    again.close()


def test_what_a_process_writes_is_seen_by_others_though_it_has_opened_the_file_twice(tmp_path):
    """Closing a file drops all locks of a process on it: an opening that closed it let the next reader delete the log."""
    path = tmp_path / "ml_api.sqlite3"
    look = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM failures').fetchone()[0])"

    def seen_by_another():
        return int(subprocess.run([sys.executable, "-c", look, path], capture_output=True, check=True, timeout=60).stdout)

    with closing(Database.open(str(path))) as first, closing(Database.open(str(path))):
        for number in range(3):
            assert seen_by_another() == number
            with first.write() as session:
                session.add(failure(f"{number}.jpg"))
        assert seen_by_another() == 3


def test_a_transaction_that_fails_leaves_nothing(database):
    def fail_late():
        with database.write() as session:
            session.add(failure("a.jpg"))
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_late()
    assert count(database) == 0


def test_a_violated_constraint_is_the_callers(database):
    with database.write() as session:
        session.add(failure("a.jpg"))
    with pytest.raises(IntegrityError), database.write() as session:
        session.add(failure("a.jpg"))


def test_who_reads_first_and_then_writes_loses_nothing_beside_others(database):
    def add(number):
        with database.write() as session:
            known = session.scalar(select(func.count()).select_from(FailureRow))
            session.add(failure(f"{number}-{known}.jpg"))

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(add, range(64)))
    assert count(database) == 64


def test_a_reader_does_not_wait_for_a_writer(database):
    with database.write() as session:
        session.add(failure("a.jpg"))
        session.flush()
        with ThreadPoolExecutor(1) as other:
            assert other.submit(count, database).result(3) == 0


@pytest.fixture
def locked(tmp_path):
    """A database on SQLite, and another program that is writing to it."""
    path = tmp_path / "ml_api.sqlite3"
    with closing(Database.open(str(path))) as database, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield database, other


def test_however_many_writers_wait_for_another_process_readers_do_not(locked):
    """Each waited with a connection: with eight of them, nobody read, and searches went on without words."""
    database, other = locked

    def add(number):
        with database.write() as session:
            session.add(failure(f"{number}.jpg"))

    with ThreadPoolExecutor(POOL + 1) as pool:
        adding = [pool.submit(add, number) for number in range(POOL + 1)]
        assert not wait(adding, 0.2).done
        assert count(database) == 0
        other.execute("ROLLBACK")
        for one in adding:
            one.result()
    assert count(database) == POOL + 1


def test_a_writer_waits_for_others_no_longer_than_its_deadline(locked):
    database, other = locked
    began = perf_counter()
    with (
        pytest.raises(DatabaseUnavailable, match=r"another program keeps it locked"),
        database.write(Deadline.within(0.05)) as session,
    ):
        session.add(failure("a.jpg"))
    other.execute("ROLLBACK")
    with database.write(Deadline.within(5)) as session:
        session.add(failure("a.jpg"))
        with ThreadPoolExecutor(1) as pool:
            late = pool.submit(lambda: database.write(Deadline.within(0.05)).__enter__())
            with pytest.raises(DatabaseUnavailable, match="others are writing"):
                late.result()
    assert perf_counter() - began < TIMEOUT_S
    assert count(database) == 1


def test_of_many_writers_few_go_on_waiting_while_nothing_moves(locked):
    """Each holds a thread of the service, for which searches wait: 13.9 s, when 150 uploads came while another program wrote."""
    database, other = locked

    def add(number):
        with database.write() as session:
            session.add(failure(f"{number}.jpg"))

    with ThreadPoolExecutor(5 * POOL) as pool:
        adding = [pool.submit(add, number) for number in range(5 * POOL)]
        wait_until(lambda: sum(one.done() for one in adding) >= 4 * POOL - 1, TIMEOUT_S - 1, "they go on waiting")
        assert {str(one.exception()) for one in adding if one.done()} == {
            f"The database {database.location} does not answer (others are writing)."
        }
        began = perf_counter()
        with pytest.raises(DatabaseUnavailable, match="others are writing"):
            add("late")
        assert perf_counter() - began < TIMEOUT_S / 2, "who comes now is refused at once"
        other.execute("ROLLBACK")
    # A busy machine may have come to the end of their patience.
    assert count(database) == sum(one.exception() is None for one in adding) <= PATIENT + 1


def test_writers_that_follow_each_other_are_refused_by_nothing(database):
    """However many wait, and however long it takes all of them; unless one takes so long that nothing seems to move."""
    with ThreadPoolExecutor(6 * POOL) as pool:
        together, turns = threading.Barrier(6 * POOL), []

        def add(number):
            together.wait()
            with database.write() as session:
                began = perf_counter()
                session.add(failure(f"{number}.jpg"))
            turns.append(perf_counter() - began)

        added = [pool.submit(add, number) for number in range(6 * POOL)]
    if max(turns) < STUCK_S / 2:
        assert {one.exception() for one in added} == {None}
    assert count(database) == len(turns)


def test_the_tables_are_what_the_migrations_make(database):
    with database.read() as session:
        # The index of words is no table of ours: it belongs to one of the databases.
        ours = {"include_name": lambda name, kind, _: kind not in {"table", "index"} or not name.startswith("texts_words")}
        context = MigrationContext.configure(session.connection(), opts=ours)
        assert compare_metadata(context, Table.metadata) == []


def test_several_processes_may_open_a_new_database_at_once(database_url):
    barrier = threading.Barrier(4)

    def open_one(_):
        barrier.wait()
        Database.open(database_url).close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(open_one, range(4)))


def test_a_database_to_which_another_program_writes_is_opened(locked):
    database, _ = locked
    with closing(Database.open(database.location)) as again:
        assert count(again) == 0


def test_a_migration_by_another_process_is_waited_for_longer_than_requests_wait(tmp_path):
    path = tmp_path / "state.sqlite3"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("BEGIN IMMEDIATE")
        over = threading.Timer(TIMEOUT_S + 1, other.execute, ["ROLLBACK"])
        over.start()
        Database.open(str(path)).close()
        over.join()


def test_a_database_of_a_newer_version_is_refused_by_name(database_url):
    database = Database.open(database_url)
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    location = database.location
    database.close()

    with pytest.raises(ConfigError) as refused:
        Database.open(database_url)

    assert f"the database {location} was written by a newer version of this program (revision 9999" in str(refused.value)


def test_there_is_one_line_of_migrations():
    assert ScriptDirectory(str(MIGRATIONS)).get_heads() == [revisions()[-1]]


def test_one_that_is_at_the_newest_revision_is_opened_without_alembic(database_url):
    """Which takes longer to import than all the rest that a command opens."""
    Database.open(database_url).close()
    code = "import sys; from ml_api.database import Database; Database.open(sys.argv[1]).close(); print('alembic' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code, database_url], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.stdout == "False\n", result.stderr


def test_a_disk_without_locks_is_told_from_a_database_that_another_program_uses(tmp_path, monkeypatch):
    """SQLite calls both locked."""

    def refused(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    path = tmp_path / "state.sqlite3"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ConfigError, match="another program keeps it locked"):
            Database.open(str(path))
        monkeypatch.setattr(fcntl, "lockf", refused)
        with pytest.raises(ConfigError, match="its disk takes no locks, as some network file systems; keep it on a local disk"):
            Database.open(str(path))


def test_a_sqlite_file_is_private(tmp_path):
    Database.open(str(tmp_path / "data" / "state.sqlite3")).close()
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "data" / "state.sqlite3").stat().st_mode) == 0o600


def test_a_file_that_is_no_database_is_named(tmp_path):
    path = tmp_path / "state.sqlite3"
    path.write_text("not a database, though it has some length" * 100)
    with pytest.raises(ConfigError, match=r"state\.sqlite3 cannot be used: file is not a database"):
        Database.open(str(path))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://root:secret@host/name", "mysql://root:***@host/name is neither a SQLite nor a PostgreSQL database"),
        ("nonsense://", "nonsense:// is neither"),
        ("postgresql://user:secret@127.0.0.1:1/name", r"postgresql\+psycopg://user:\*\*\*@127.0.0.1:1/name cannot be used"),
    ],
)
def test_an_address_that_cannot_be_used_is_named_without_its_password(url, said):
    with pytest.raises(ConfigError, match=said.replace("***", r"\*\*\*") if "\\" not in said else said) as refused:
        Database.open(url)
    assert "secret" not in str(refused.value)


def test_without_its_driver_postgresql_names_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match=r"psycopg is not installed: pip install -r requirements-postgresql\.txt"):
        Database.open("postgresql://user@host/name")


def test_a_server_that_dies_is_unavailable_and_comes_back_by_itself(postgresql_server):
    database = Database.open(postgresql_server.new_database())
    postgresql_server.stop()
    try:
        with pytest.raises(DatabaseUnavailable, match="does not answer"):
            count(database)
    finally:
        postgresql_server.start()
    assert count(database) == 0
    database.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
def test_a_disk_that_is_mounted_read_only_is_told_from_missing_rights(tmp_path):
    disk, path = tmp_path / "disk", tmp_path / "disk" / "state.sqlite3"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", disk], check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let root mount")
    try:
        Database.open(str(path)).close()
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        with pytest.raises(ConfigError, match="cannot be opened: Read-only file system"):
            Database.open(str(path))
        with pytest.raises(ValueError, match="disk cannot be written: the disk is mounted read-only"):
            require_writable(disk)
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
def test_a_full_disk_loses_nothing_and_is_named(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let root mount")
    try:
        database = Database.open(str(disk / "state.sqlite3"))
        filler = disk / "filler.bin"
        filler.write_bytes(b"x" * 500_000)
        with pytest.raises(DatabaseFull, match="disk is full"), database.write() as session:
            session.add_all(failure(f"{number}.jpg" + "x" * 1000) for number in range(500))
        assert count(database) == 0
        filler.unlink()
        with database.write() as session:
            session.add_all(failure(f"{number}.jpg") for number in range(50))
        assert count(database) == 50
        database.close()
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_file_over_the_systems_limit_is_a_full_disk(tmp_path):
    """SQLite calls it a failure to write, as it does with a used-up quota. The limit is the process's: one of its own meets it."""
    code = """
import resource, sys
from ml_api.database import Database
from ml_api.database.tables import FailureRow
from ml_api.errors import DatabaseFull

def add(names):
    with database.write() as session:
        session.add_all(FailureRow(corpus="c", key=name, version="1", made_with="x", code="c", reason="r") for name in names)

database = Database.open(sys.argv[1])
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
try:
    add(f"{number}.jpg" + "x" * 1000 for number in range(2000))
except DatabaseFull as exc:
    print(exc.detail)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
add(["a.jpg"])
"""
    path = tmp_path / "state.sqlite3"
    done = subprocess.run([sys.executable, "-c", code, path], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"The disk is full on which the database {path} lies; nothing was changed.\n"
    with closing(Database.open(str(path))) as database:
        assert count(database) == 1


def test_a_disk_that_cannot_be_written_for_another_reason_is_unavailable(tmp_path):
    """Whose fault it is nobody knows then."""
    database = Database.open(str(tmp_path / "state.sqlite3"))
    failed = sqlite3.OperationalError("disk I/O error")
    failed.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
    with pytest.raises(DatabaseUnavailable, match="disk I/O error") as raised, database.write():
        raise OperationalError("INSERT", {}, failed)
    assert type(raised.value) is DatabaseUnavailable
    database.close()


def test_a_full_disk_of_postgresql_is_named_whichever_way_the_server_says_it(postgresql_server):
    """The server itself raises it here, with the state that it has for it; the driver makes its own error of it."""
    database = Database.open(postgresql_server.new_database())
    says_full = text("DO $$ BEGIN RAISE SQLSTATE '53100' USING MESSAGE = 'could not extend file: No space left on device'; END $$")
    with pytest.raises(DatabaseFull, match="disk is full") as raised, database.write() as session:
        session.execute(says_full)
    assert type(raised.value.__cause__.orig).__name__ == "DiskFull"
    with database.write() as session:  # the connection is as good as before
        session.add(failure("a.jpg"))
    assert count(database) == 1
    database.close()
