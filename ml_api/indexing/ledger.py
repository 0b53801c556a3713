"""Storage of a plan in a temporary SQLite file, so that memory does not grow with the corpus.

The file has no name: the system deletes it when the process ends, however that happens.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any, Final

from ml_api.batched import batched
from ml_api.errors import DatabaseUnavailable
from ml_api.indexing.tasks import AT_ONCE, EntryState, Reason, Task
from ml_api.records import Entry, image_id
from ml_api.vocabulary import ReasonCode, SyncOutcome

# A version is that of the bytes, or that with a dash and the fingerprint of the metadata.
_SCHEMA: Final = """
PRAGMA journal_mode = OFF;
PRAGMA temp_store = FILE;
CREATE TABLE entries (key TEXT PRIMARY KEY, version TEXT, digest TEXT, phash TEXT, state TEXT) WITHOUT ROWID;
CREATE TABLE files (
    number INTEGER PRIMARY KEY, key TEXT, version TEXT, file_version TEXT, metadata TEXT, stored INTEGER, code TEXT, reason TEXT
);
CREATE VIEW removed AS
    SELECT key, version FROM entries WHERE state = 'removed'
    UNION ALL SELECT key, bytes_version(version) FROM entries WHERE state = 'removed';
CREATE VIEW added AS SELECT number, key, file_version FROM files WHERE NOT stored AND code = '';
CREATE VIEW lost AS
    SELECT key, digest FROM entries WHERE state = 'removed' AND version NOT IN (SELECT file_version FROM added)
    AND bytes_version(version) NOT IN (SELECT file_version FROM added);
BEGIN
"""

_EXAMPLES: Final = {
    SyncOutcome.ADDED: "SELECT key FROM added WHERE file_version NOT IN (SELECT version FROM removed) ORDER BY number LIMIT ?",
    SyncOutcome.MOVED: (
        "SELECT (SELECT key FROM removed WHERE version = file_version LIMIT 1) || ' → ' || key FROM added"
        " WHERE file_version IN (SELECT version FROM removed) ORDER BY number LIMIT ?"
    ),
    SyncOutcome.REPLACED: "SELECT key FROM files WHERE stored AND code = '' ORDER BY number LIMIT ?",
    SyncOutcome.FAILED: "SELECT key FROM files WHERE code <> '' ORDER BY number LIMIT ?",
    SyncOutcome.UNLISTED: "SELECT key FROM entries WHERE state = 'unlisted' ORDER BY key LIMIT ?",
    SyncOutcome.REMOVED: "SELECT key FROM lost ORDER BY key LIMIT ?",
}


class Ledger:
    """The entries of the store with their states, and the files that are not unchanged. May be used from any thread.

    Every method raises DatabaseUnavailable if there is no room for temporary files. Close it.
    """

    def __init__(self) -> None:
        with _translated():
            # Without a name: a file of this connection alone, in the folder for temporary files, with a cache of 2 MB.
            self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            self._connection.create_function("bytes_version", 1, _without_fingerprint, deterministic=True)
            self._connection.executescript(_SCHEMA)
        self._lock = Lock()

    def close(self) -> None:
        """Safe to call twice."""
        self._connection.close()

    def enter(self, entries: Iterable[Entry]) -> None:
        """Add the entries of the store."""
        for some in batched(entries, AT_ONCE):
            rows = [(entry.key, entry.version, entry.digest, entry.phash, EntryState.OPEN) for entry in some]
            self._change("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?)", rows)

    def open_entries(self, keys: Sequence[str]) -> dict[str, Entry]:
        """Those of `keys` that are stored and still open."""
        rows = self._rows(
            "SELECT key, version, digest, phash FROM entries WHERE state = '' AND key IN (SELECT value FROM json_each(?))",
            json.dumps(keys),
        )
        return {row[0]: _entry(row) for row in rows}

    def settle(self, keys: Iterable[str], state: EntryState) -> None:
        self._change("UPDATE entries SET state = ? WHERE key = ?", [(state, key) for key in keys])

    def settle_open(self, state: EntryState) -> None:
        """All that are still open."""
        self._change("UPDATE entries SET state = ? WHERE state = ''", [(state,)])

    def plan(self, tasks: Iterable[Task], reasons: Mapping[str, Reason]) -> None:
        """Files that are not unchanged; those under `reasons`, by key, are known to fail."""
        rows = []
        for task in tasks:
            reason = reasons.get(task.key)
            why = (reason.code, reason.text) if reason is not None else ("", "")
            rows.append((task.key, task.version, task.file_version, json.dumps(task.metadata), task.stored is not None, *why))
        self._change("INSERT INTO files VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)", rows)

    def index(self) -> None:
        """Index the digests, once everything is added."""
        self._rows("CREATE INDEX entries_by_digest ON entries (digest)")

    def tasks(self) -> Iterator[Task]:
        """The files to read, in the order in which they were listed."""
        return (task for task, _ in self._files(failed=False))

    def failed(self) -> Iterator[tuple[Task, Reason]]:
        """The files that are known to fail."""
        return ((task, Reason(ReasonCode(code), text)) for task, (code, text) in self._files(failed=True))

    def among_failed(self, keys: Sequence[str]) -> set[str]:
        """Those of `keys` that are known to fail."""
        statement = "SELECT key FROM files WHERE code <> '' AND key IN (SELECT value FROM json_each(?))"
        return {key for (key,) in self._rows(statement, json.dumps(keys))}

    def source(self, digest: str) -> Entry | None:
        """An image with these bytes whose vector stays as it is, as long as it is stored; rather one that is to stay."""
        rows = self._rows(
            "SELECT key, version, digest, phash FROM entries WHERE digest = ? AND state IN ('kept', 'unlisted', 'removed', 'moved')"
            " ORDER BY state IN ('removed', 'moved'), key LIMIT 1",
            digest,
        )
        return _entry(rows[0]) if rows else None

    def removed(self, digest: str) -> list[Entry]:
        """The first AT_ONCE of the images with these bytes that are removed and have not moved, in the order of keys."""
        rows = self._rows(
            "SELECT key, version, digest, phash FROM entries WHERE digest = ? AND state = 'removed' ORDER BY key LIMIT ?",
            digest,
            AT_ONCE,
        )
        return list(map(_entry, rows))

    def entries(self, *states: EntryState) -> Iterator[tuple[EntryState, Entry]]:
        """In the order of keys. States may be changed meanwhile."""
        after = ""
        while True:
            rows = self._rows(
                "SELECT key, version, digest, phash, state FROM entries WHERE state IN (SELECT value FROM json_each(?)) AND key > ?"
                " ORDER BY key LIMIT ?",
                json.dumps(states),
                after,
                AT_ONCE,
            )
            yield from ((EntryState(row[4]), _entry(row)) for row in rows)
            if len(rows) < AT_ONCE:
                return
            after = rows[-1][0]

    def count(self, state: EntryState) -> int:
        [(number,)] = self._rows("SELECT count(*) FROM entries WHERE state = ?", state)
        return int(number)

    def examples(self, outcome: SyncOutcome, limit: int) -> list[str]:
        """Some keys of an outcome, as far as names, sizes and times tell it; a moved file with its former key."""
        return [key for (key,) in self._rows(_EXAMPLES[outcome], limit)] if outcome in _EXAMPLES else []

    def likely_moves(self) -> int:
        """The number of removed images that were probably moved: a new file has their size and time, to the nanosecond."""
        self._rows("CREATE INDEX files_by_version ON files (file_version)")
        [(number,)] = self._rows(
            "SELECT coalesce(sum(min(gone, (SELECT count(*) FROM added WHERE file_version = version))), 0)"
            " FROM (SELECT version, count(*) AS gone FROM removed GROUP BY version)"
        )
        return int(number)

    def stored_twice(self) -> int:
        """The number of removed images whose bytes are those of an unchanged file, without those that were probably moved."""
        [(number,)] = self._rows("SELECT count(*) FROM lost WHERE digest IN (SELECT digest FROM entries WHERE state = 'kept')")
        return int(number)

    def removed_folders(self, limit: int) -> list[tuple[str, int]]:
        """The top-level folders with most removals, with a slash at the end; the root is the empty text."""
        rows = self._rows(
            "SELECT substr(key, 1, instr(key, '/')) AS folder, count(*) AS number FROM entries WHERE state = 'removed'"
            " GROUP BY folder ORDER BY number DESC, folder LIMIT ?",
            limit,
        )
        return [(str(folder), int(number)) for folder, number in rows]

    def _files(self, *, failed: bool) -> Iterator[tuple[Task, tuple[str, str]]]:
        after = 0
        while True:
            rows = self._rows(
                "SELECT number, f.key, f.version, file_version, metadata, stored, e.version, digest, phash, code, reason"
                " FROM files AS f LEFT JOIN entries AS e ON stored AND e.key = f.key"
                " WHERE (code <> '') = ? AND number > ? ORDER BY number LIMIT ?",
                failed,
                after,
                AT_ONCE,
            )
            for _, key, version, file_version, metadata, stored, was, digest, phash, code, reason in rows:
                entry = _entry((key, was, digest, phash)) if stored else None
                yield Task(key, version, json.loads(metadata), entry, file_version), (code, reason)
            if len(rows) < AT_ONCE:
                return
            after = rows[-1][0]

    def _rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock, _translated():
            return self._connection.execute(statement, values).fetchall()

    def _change(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        with self._lock, _translated():
            self._connection.executemany(statement, rows)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as exc:
        raise DatabaseUnavailable(f"The plan of the sync cannot be kept in the folder for temporary files ({exc}).") from exc


def _entry(row: Sequence[str]) -> Entry:
    key, version, digest, phash = row[:4]
    return Entry(image_id(key), key, version, digest, phash=phash)


def _without_fingerprint(version: str) -> str:
    return version.rpartition("-")[0]
