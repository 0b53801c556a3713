"""Stores the words of each image in the service's database, and looks words up by its full-text search.

The rows are derived from the vector store. A caller that changes an image there announces it here first, and settles it with the
new words afterwards. If a process dies in between, `keeping` finds the image announced, and reads it again from the vector store.
"""

import hashlib
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from time import monotonic
from typing import Any, Final

from sqlalchemy import Connection, delete, func, select, update

from ml_api.batched import batched
from ml_api.database import Database
from ml_api.database.tables import TextRow
from ml_api.records import Entry, ImageRecord
from ml_api.texts.dialects import COMMON, DIALECTS
from ml_api.texts.words import ANALYSIS, all_words

AT_ONCE: Final = 500
"""Rows in one statement."""
WORDS_AT_ONCE: Final = 200
"""Words in one statement; SQLite joins 500 counts at most."""
FRESH_S: Final = 10.0
"""How long counts are cached. They need not be exact: the number of images only weights words, and common words stay common."""


@dataclass(frozen=True, slots=True)
class ImageWords:
    """The words of an image, in the form of its row."""

    fingerprint: str
    """Changes with the image's version, and with the rules for words. The row's column is called `mark`."""
    words: str
    """Separated by spaces."""

    @classmethod
    def of(cls, record: ImageRecord) -> "ImageWords":
        return cls(fingerprint_of(record), " ".join(all_words(record)))


@dataclass(frozen=True, slots=True)
class Lookup:
    """A request for the images that have certain words."""

    words: Sequence[str]
    most: int
    """The most images to find."""
    needs_all: bool = False
    """Whether an image must have all of the words."""


@dataclass(frozen=True, slots=True)
class Found:
    """The result of a lookup."""

    images: Mapping[str, frozenset[str]]
    """For the id of each image that was found, which of the words it has."""
    known: Mapping[str, int]
    """How many images have each word, at most COMMON."""
    of: int
    """The number of images in the index."""


@dataclass(frozen=True, slots=True)
class _Counts:
    """Counts that are cached for FRESH_S."""

    images: int
    until: float
    """On the clock of `monotonic`."""
    common: set[str] = field(default_factory=set)
    """Words that at least COMMON images have: counting these takes longest."""


def fingerprint_of(entry: Entry) -> str:
    return hashlib.sha256(f"{ANALYSIS} {entry.version}".encode()).hexdigest()[:16]


class TextIndex:
    """The index of one collection. Thread-safe. Every method raises DatabaseUnavailable."""

    def __init__(self, database: Database, target: str) -> None:
        self._database = database
        self._target = target
        self._dialect = DIALECTS[database.backend]
        self._counts = _Counts(0, until=0.0)

    def announce(self, images: Sequence[str]) -> str:
        """Announce images before they are written, deleted, or read to be settled. Returns the token for `settle`."""
        token = secrets.token_hex(8)
        rows = self._database.insert(TextRow).values(target=self._target, mark="", words="", announced=token)
        announced = rows.on_conflict_do_update(index_elements=["target", "image"], set_={"announced": token})
        with self._database.write() as session:
            # In the order of ids: two processes that announce the same images in other orders could deadlock.
            for batch in batched(sorted(set(images)), AT_ONCE):
                session.execute(announced, [{"image": image} for image in batch])
        return token

    def settle(self, token: str, words: Mapping[str, ImageWords | None]) -> None:
        """Store the words that the announced images have now, by image id; None for those that are gone.

        Images that another caller has announced or settled since stay announced, as it is unknown which change was the last.
        """
        with self._database.write() as session:
            for batch in batched(sorted(words), AT_ONCE):
                locked = select(TextRow.number, TextRow.image, TextRow.announced).where(*self._among(batch))
                rows = session.execute(locked.order_by(TextRow.image).with_for_update()).all()
                crossed = [row.number for row in rows if row.announced != token]
                settled = [(row.number, words[row.image]) for row in rows if row.announced == token]
                written = [
                    {"number": number, "mark": now.fingerprint, "words": now.words, "announced": ""}
                    for number, now in settled
                    if now is not None
                ]
                gone = [number for number, now in settled if now is None]
                if written:
                    session.execute(update(TextRow), written)
                if gone:
                    session.execute(delete(TextRow).where(TextRow.number.in_(gone)))
                if crossed:
                    session.execute(update(TextRow).where(TextRow.number.in_(crossed)).values(announced=secrets.token_hex(8)))

    def announced(self, limit: int = AT_ONCE) -> dict[str, str]:
        """Return the tokens of announced images by image id."""
        rows = select(TextRow.image, TextRow.announced).where(TextRow.target == self._target, TextRow.announced != "").limit(limit)
        with self._database.read() as session:
            return {row.image: row.announced for row in session.execute(rows)}

    def count(self) -> int:
        with self._database.read() as session:
            return session.scalar(select(func.count()).select_from(TextRow).where(TextRow.target == self._target)) or 0

    def fingerprints(self) -> Iterator[tuple[str, str]]:
        """Yield the id and the fingerprint of each image, in the order of ids; rows written meanwhile may or may not appear."""
        after = ""
        while True:
            rows = select(TextRow.image, TextRow.mark).where(TextRow.target == self._target, TextRow.image > after)
            with self._database.read() as session:
                page = session.execute(rows.order_by(TextRow.image).limit(10 * AT_ONCE)).all()
            if not page:
                return
            yield from ((image, fingerprint) for image, fingerprint in page)
            after = page[-1].image

    def find(self, lookups: Sequence[Lookup]) -> list[Found]:
        """Return what each lookup finds.

        A lookup that needs all words finds up to `most` images that have them, however common they are. Another finds the images
        that have a rare word or, if no word is rare, all words that are neither common nor unknown; if more than `most` images have
        these, it finds none, as the words then distinguish too little.
        """
        with self._database.looking() as connection:
            counts = self._fresh_counts(connection)
            counted = dict.fromkeys(word for lookup in lookups if not lookup.needs_all for word in lookup.words)
            having = self._image_counts(counted, counts, connection)
            return [self._found(lookup, having, counts.images, connection) for lookup in lookups]

    def _found(self, lookup: Lookup, having: Mapping[str, int], of: int, connection: Connection) -> Found:
        """`having` says how many images have each word."""
        words, most = lookup.words, lookup.most
        if not words:
            return Found({}, {}, of)
        if lookup.needs_all:
            rows = self._dialect.images(connection, self._target, [words], most)
            return Found(_with(words, rows), dict.fromkeys(words, len(rows)), of)
        known = {word: having[word] for word in words}
        alternatives = _alternatives(known, most)
        rows = self._dialect.images(connection, self._target, alternatives, most + 1) if alternatives else []
        return Found({} if len(rows) > most else _with(words, rows), known, of)

    def _image_counts(self, words: Iterable[str], counts: _Counts, connection: Connection) -> dict[str, int]:
        """How many images have each word."""
        counted = dict[str, int]()
        for uncounted in batched((word for word in words if word not in counts.common), WORDS_AT_ONCE):
            counted |= self._dialect.counts(connection, uncounted)
        counts.common.update(word for word, images in counted.items() if images >= COMMON)
        return {word: counted.get(word, COMMON) for word in words}

    def _fresh_counts(self, connection: Connection) -> _Counts:
        if monotonic() > self._counts.until:
            images = connection.scalar(select(func.count()).select_from(TextRow).where(TextRow.target == self._target)) or 0
            self._counts = _Counts(images, monotonic() + FRESH_S)
        return self._counts

    def _among(self, images: Sequence[str]) -> tuple[Any, ...]:
        return TextRow.target == self._target, TextRow.image.in_(images)


def _alternatives(known: Mapping[str, int], most: int) -> list[list[str]]:
    """Lists of words to look up: an image is found if it has all words of one list."""
    telling = sorted((word for word, images in known.items() if 0 < images < COMMON), key=known.__getitem__)
    totals = accumulate(known[word] for word in telling)
    rare = [[word] for word, total in zip(telling, totals, strict=True) if total <= most]
    return rare or ([telling] if len(telling) > 1 else [])


def _with(words: Sequence[str], rows: Iterable[tuple[str, str]]) -> dict[str, frozenset[str]]:
    wanted = frozenset(words)
    return {image: wanted.intersection(has.split()) for image, has in rows}
