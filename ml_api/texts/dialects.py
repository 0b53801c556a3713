"""Finds rows of the table `texts` by their words, for TextIndex, with the full-text index of each kind of database.

Words consist of letters, digits and combining marks (`words`), and are quoted: nothing that a client sends becomes syntax.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from sqlalchemy import Connection, text

COMMON: Final = 2000
"""A word that this many images have is common: it distinguishes none of them, and is not looked up."""


class Dialect(Protocol):
    """The full-text search of one kind of database."""

    def counts(self, connection: Connection, words: Sequence[str]) -> dict[str, int]:
        """Return how many rows, of all collections, have each word; at most COMMON."""
        ...

    def images(
        self, connection: Connection, target: str, alternatives: Sequence[Sequence[str]], limit: int
    ) -> list[tuple[str, str]]:
        """Return image id and words of up to `limit` rows that have all words of one of the `alternatives`."""
        ...


class Fts5:
    """SQLite's full-text search (https://www.sqlite.org/fts5.html)."""

    def counts(self, connection: Connection, words: Sequence[str]) -> dict[str, int]:
        count = "SELECT count(*) FROM (SELECT rowid FROM texts_words WHERE texts_words MATCH ? LIMIT ?)"
        values = [value for word in words for value in (f'"{word}"', COMMON)]
        rows = connection.exec_driver_sql(" UNION ALL ".join([count] * len(words)), tuple(values))
        return dict(zip(words, rows.scalars(), strict=True))

    def images(
        self, connection: Connection, target: str, alternatives: Sequence[Sequence[str]], limit: int
    ) -> list[tuple[str, str]]:
        query = " OR ".join("(" + " AND ".join(f'"{word}"' for word in words) + ")" for words in alternatives)
        rows = connection.exec_driver_sql(
            # CROSS JOIN fixes the order: otherwise SQLite reads all rows of the collection, and looks each up in the index (0.7 s).
            "SELECT texts.image, texts.words FROM texts_words CROSS JOIN texts ON texts.number = texts_words.rowid "
            "WHERE texts_words MATCH ? AND texts.target = ? LIMIT ?",
            (query, target, limit),
        )
        return [(image, has) for image, has in rows]


class TextSearch:
    """PostgreSQL's full-text search (https://www.postgresql.org/docs/current/textsearch.html)."""

    _HAVING: Final = "FROM texts WHERE array_to_tsvector(string_to_array(words, ' ')) @@ CAST(:{} AS tsquery)"

    def counts(self, connection: Connection, words: Sequence[str]) -> dict[str, int]:
        counts = (
            f"(SELECT count(*) FROM (SELECT 1 {self._HAVING.format(f'w{place}')} LIMIT {COMMON}) AS rows_{place})"  # noqa: S608 - constants
            for place in range(len(words))
        )
        [row] = connection.execute(text("SELECT " + ", ".join(counts)), {f"w{at}": f"'{word}'" for at, word in enumerate(words)})
        return dict(zip(words, row, strict=True))

    def images(
        self, connection: Connection, target: str, alternatives: Sequence[Sequence[str]], limit: int
    ) -> list[tuple[str, str]]:
        query = " | ".join("(" + " & ".join(f"'{word}'" for word in words) + ")" for words in alternatives)
        rows = connection.execute(
            text(f"SELECT image, words {self._HAVING.format('query')} AND target = :target LIMIT :most"),
            {"query": query, "target": target, "most": limit},
        )
        return [(image, has) for image, has in rows]


DIALECTS: Final[Mapping[str, Dialect]] = {"sqlite": Fts5(), "postgresql": TextSearch()}
