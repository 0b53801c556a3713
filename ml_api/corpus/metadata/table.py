"""Metadata joined by key in a temporary SQLite file: a catalogue of a million rows takes no memory but a byte for each row."""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from types import TracebackType
from typing import Any, Self

from ml_api.corpus.metadata.fields import Fields, FieldType
from ml_api.corpus.metadata.rows import comparable
from ml_api.errors import CorpusUnavailable

EXAMPLES = 3
CACHE_KIB = 2048

Typed = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class Metadata:
    """The metadata of images, by key. Any thread may call `of` once they are joined; all else is for one thread. Close it.

    `problems` lists what could not be read. If `complete` is false, a whole file could not be, so that an image may have metadata
    that are not here.
    """

    def __init__(self) -> None:
        self.problems: tuple[str, ...] = ()
        self.types: dict[str, FieldType] = {}
        self.complete = True
        self._lock = Lock()
        # A name of no characters: a file in SQLITE_TMPDIR, TMPDIR or /var/tmp, without a name there, so that none is left behind.
        self._rows = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._sources: list[str] = []
        self._typed: list[Typed] = []
        self._used = bytearray()
        with self._working():
            for pragma in ("journal_mode=OFF", "synchronous=OFF", "temp_store=FILE", f"cache_size=-{CACHE_KIB}"):
                self._rows.execute(f"PRAGMA {pragma}")
            self._rows.execute("CREATE TABLE rows (source INTEGER, key BLOB, number INTEGER, fields TEXT)")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            self._rows.close()

    @contextmanager
    def source(self, name: str) -> Iterator[Callable[[str, int, Mapping[str, Any]], None]]:
        """A file whose rows are added, as (key, number, fields): later ones count more. Nothing of it is kept if this raises."""
        source, rows = len(self._sources), self._rows
        self._sources.append(name)
        self._typed.append(dict)

        def add(key: str, number: int, fields: Mapping[str, Any]) -> None:
            rows.execute("INSERT INTO rows VALUES (?, ?, ?, ?)", (source, _bytes(key), number, json.dumps(fields)))

        with self._working():
            rows.execute("BEGIN")
        try:
            with self._working():
                yield add
        except BaseException:
            with self._working():
                rows.execute("DELETE FROM rows WHERE source = ?", (source,))
            raise
        finally:
            with self._working():
                rows.execute("COMMIT")

    def understand(self, fields: Fields) -> None:
        """How the rows of the last source are to be read."""
        self._typed[-1] = fields.typed

    def join(self) -> None:
        """Once all sources are added."""
        with self._working():
            self._rows.execute("CREATE INDEX by_key ON rows (key, source, number)")
            (last,) = self._rows.execute("SELECT COALESCE(MAX(rowid), 0) FROM rows").fetchone()
        self._used = bytearray(last + 1)

    def of(self, key: str) -> dict[str, Any]:
        """The metadata of an image. Of each source the first row that names its key, else its file's name without the ending, else
        the folder that it lies in."""
        if len(self._used) == 1:
            return {}
        exact = comparable(key)
        above, _, name = exact.rpartition("/")
        stem, folder = name.rpartition(".")[0] or name, above.rpartition("/")[2] or None
        query = (
            "SELECT rowid, source, fields FROM rows WHERE key IN (?1, ?2, ?3) ORDER BY source, key = ?1 DESC, key = ?2 DESC, number"
        )
        with self._lock, self._working():
            found = self._rows.execute(query, (_bytes(exact), _bytes(stem), folder and _bytes(folder))).fetchall()
        first: dict[int, str] = {}
        for rowid, source, fields in found:
            self._used[rowid] = True
            first.setdefault(source, fields)
        facts: dict[str, Any] = {}
        for source, fields in first.items():
            facts |= self._typed[source](json.loads(fields))
        return facts

    def without_image(self, hides: Callable[[str], bool]) -> tuple[int, int, list[str]]:
        """How many keys belong to no image that was asked for, of how many, and the first of them.

        Not counted are keys of which `hides` says that there may be an image.
        """
        number, total, examples, last = 0, 0, list[str](), None
        with self._working():
            for key, rowid in self._rows.execute("SELECT key, rowid FROM rows ORDER BY key, source, number"):
                if key != last:
                    total += 1
                    if not self._used[rowid] and not hides(_text(key)):
                        number += 1
                        examples += [_text(key)] * (len(examples) < EXAMPLES)
                last = key
        return number, total, examples

    def repeated(self) -> Iterator[tuple[str, int, str, int]]:
        """Rows whose key came before in the same source: its name, their number, the key, and the number of the row that counts."""
        query = (
            "SELECT source, number, key, first FROM "
            "(SELECT source, number, key, MIN(number) OVER (PARTITION BY key, source) AS first FROM rows) WHERE number > first"
        )
        with self._working():
            for source, number, key, first in self._rows.execute(query):
                yield self._sources[source], number, _text(key), first

    @contextmanager
    def _working(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as exc:
            raise CorpusUnavailable(
                f"the metadata cannot be joined in a temporary file: {exc}; SQLITE_TMPDIR or TMPDIR names its folder"
            ) from exc


def fingerprint(metadata: Mapping[str, Any]) -> str:
    """A hash of the metadata, by which a sync notices changes; empty without metadata."""
    if not metadata:
        return ""
    return hashlib.sha256(json.dumps(metadata, sort_keys=True).encode()).hexdigest()[:16]


def _bytes(key: str) -> bytes:
    """Names of files may be no valid Unicode."""
    return key.encode("utf-8", "surrogatepass")


def _text(key: bytes) -> str:
    return key.decode("utf-8", "surrogatepass")
