"""Encodes and decodes cursors, which clients send to get the next page of a ranking (docs/decisions/0081-cursors.md).

A cursor contains the last images that were delivered. So no image is delivered twice and none is skipped, whatever is added,
deleted or embedded again between pages, and whatever a wider search of the index finds that the one before missed. Earlier images
are recognised by their score: those with a higher one count as delivered.

The service stores no cursors, and they contain no secrets: a checksum detects damage, and a client that forges one only skips hits
of its own search.
"""

import base64
import binascii
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from math import inf
from struct import Struct
from typing import Final

import numpy as np

from ml_api.errors import InvalidCursor
from ml_api.records import Hit
from ml_api.search.query import MAX_DEPTH, SCORE_DIGITS, ImageTerm, Query, Term

REMEMBERED: Final = 512
"""How many delivered images, the last ones, a cursor contains. Images with a higher score than the middle one of them count as
delivered, too; the middle one, as scores differ a little between searches: a text's vector depends on the batch it was embedded
in."""
SLACK: Final = 256
"""Hits that are read again before the middle of the remembered ones, so that none is skipped."""
SPARE: Final = 64
"""Additional hits that are read, as images may have been added before the page."""
LIFETIME_S: Final = 24 * 3600

_ID_BYTES: Final = 5
"""Bytes of each id in a cursor: once in two thousand million hits another image is mistaken for one of its 512."""
_PART_BYTES: Final = 3
_SUM_BYTES: Final = 6
_HEAD: Final = Struct(f">IHHd{_PART_BYTES * 4}s")
"""Time of expiry, number of images before the remembered ones, number of remembered ones, `Position.above`, fingerprints."""
MAX_CURSOR_CHARS: Final = 3500
"""The longest cursor, at any depth. A URL may have 8,190 characters."""

_AGAIN: Final = "begin again without cursor"


@dataclass(frozen=True, slots=True)
class Position:
    """How far earlier pages got into a ranking."""

    ids: tuple[bytes, ...] = ()
    """The first bytes of the ids of the last delivered images, in their order."""
    before: int = 0
    """How many images were delivered before those."""
    above: float = inf
    """If `before` > 0, images with a higher score count as delivered."""

    @property
    def start(self) -> int:
        """The offset to read the ranking from."""
        return max(0, self.before + len(self.ids) // 2 - SLACK) if self.before else 0

    @property
    def ahead(self) -> int:
        """How many hits from `start` on may have been delivered."""
        return self.before + len(self.ids) - self.start + (SPARE if self.before else 0)

    def delivered(self, ranked: Sequence[Hit]) -> list[bool]:
        """For each hit, whether an earlier page had it.

        Images with exactly the score `above` were delivered if they are ranked before the first remembered one: there may be more
        copies of an image than a cursor holds.
        """
        if not self.ids:
            return [False] * len(ranked)
        ids = frozenset(self.ids)
        remembered = [_short(hit) in ids for hit in ranked]
        first = len(list(takewhile(lambda is_remembered: not is_remembered, remembered)))
        return [
            is_remembered or (score := _score(hit)) > self.above or (score == self.above and index < first)
            for index, (hit, is_remembered) in enumerate(zip(ranked, remembered, strict=True))
        ]

    def remembers(self, hit: Hit) -> bool:
        return _short(hit) in self.ids

    def better_start(self, ranked: Sequence[Hit], start: int, limit: int, needed: int) -> int | None:
        """The offset to read from instead of `start`; None if `ranked` includes the page, or the ranking ends.

        `ranked` has up to `limit` hits from `start` on. It includes the page if it begins with a delivered hit, so that no hit new
        to the client was skipped, and has `needed` hits that were not delivered.
        """
        if not self.before:
            return None
        delivered = self.delivered(ranked)
        if start and not (delivered and delivered[0]):
            return max(0, start - REMEMBERED)
        new = delivered.count(False)
        if len(ranked) < limit or new >= needed:
            return None
        better = start + (delivered.index(False) if new else len(delivered)) - 1
        return better if better > start else None

    def after(self, page: Sequence[Hit], ranked: Sequence[Hit]) -> "Position":
        """The position once `page` is delivered, too. `ranked` is the part of the ranking that was read."""
        ids = (*self.ids, *map(_short, page))
        if len(ids) <= REMEMBERED:
            return Position(ids, self.before, self.above)
        before, ids = self.before + len(ids) - REMEMBERED, ids[-REMEMBERED:]
        scores = {_short(hit): _score(hit) for hit in ranked}
        middle = len(ids) // 2
        nearest = sorted((abs(index - middle), scores[id_]) for index, id_ in enumerate(ids) if id_ in scores)
        return Position(ids, before, nearest[0][1] if nearest else self.above)

    @property
    def is_deepest(self) -> bool:
        return self.before + len(self.ids) >= MAX_DEPTH


START: Final = Position()


class Cursors:
    """Writes positions as cursors, and reads them, for the searches of one collection."""

    def __init__(self, collection: str, clock: Callable[[], float] = time.time) -> None:
        self._collection = collection
        self._clock = clock

    def write(self, position: Position, query: Query, model_id: str) -> str:
        parts = b"".join(self._parts(query, model_id).values())
        head = _HEAD.pack(int(self._clock()) + LIFETIME_S, position.before, len(position.ids), position.above, parts)
        data = head + b"".join(position.ids)
        return base64.urlsafe_b64encode(_sum(data) + data).decode().rstrip("=")

    def read(self, query: Query, model_id: str) -> Position:
        """Decode the query's cursor; START if it has none. Raises InvalidCursor."""
        if query.cursor is None:
            return START
        expires, position, parts = _read(query.cursor)
        for (name, expected), part in zip(self._parts(query, model_id).items(), parts, strict=True):
            if expected != part:
                raise InvalidCursor(f"cursor: {_FOREIGN[name]}, or {_AGAIN}")
        if self._clock() > expires:
            raise InvalidCursor(f"cursor: expired at {datetime.fromtimestamp(expires, UTC):%Y-%m-%d %H:%M:%S} UTC; {_AGAIN}")
        return position

    def _parts(self, query: Query, model_id: str) -> Mapping[str, bytes]:
        """Fingerprints of everything that decides the ranking; a cursor is bound to them."""
        terms = [(weighted.weight, _identity(weighted.term)) for weighted in query.terms]
        rest = (query.options.exact, query.match, query.exclude_inputs, query.thresholds, query.arrangement.order)
        bound = {"store": (self._collection, model_id), "terms": (terms, query.marks), "filter": query.options.filter, "rest": rest}
        return {name: _digest(repr(what).encode(), _PART_BYTES) for name, what in bound.items()}


_FOREIGN: Final[Mapping[str, str]] = {
    "store": "belongs to another collection, or to the model that was in use before; search the one it came from",
    "terms": "belongs to a search for something else; send the same text, image, id or terms, and marks, with it",
    "filter": "belongs to a search with another filter; send the same one with it",
    "rest": "belongs to a search with other parameters; send all but limit, explain and facets as they were",
}


def _read(text: str) -> tuple[int, Position, list[bytes]]:
    """Decode a cursor to its time of expiry, its position, and its fingerprints. Raises InvalidCursor."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise InvalidCursor(f"cursor: is none that an answer gave as next_cursor; send it as it came, or {_AGAIN}") from None
    data = raw[_SUM_BYTES:]
    if len(data) < _HEAD.size:
        raise InvalidCursor(f"cursor: has only {len(text)} characters, fewer than any has; send it whole, or {_AGAIN}")
    expires, before, remembered, above, parts = _HEAD.unpack_from(data)
    if _sum(data) != raw[:_SUM_BYTES]:
        whole = -(-4 * (_SUM_BYTES + _HEAD.size + remembered * _ID_BYTES) // 3)
        if remembered <= REMEMBERED and len(text) < whole:
            raise InvalidCursor(f"cursor: was cut off, to {len(text):,} of {whole:,} characters; send it whole, or {_AGAIN}")
        raise InvalidCursor(f"cursor: was changed since an answer gave it as next_cursor; send it as it came, or {_AGAIN}")
    ids = tuple(data[start : start + _ID_BYTES] for start in range(_HEAD.size, len(data), _ID_BYTES))
    if len(ids) != remembered or remembered > REMEMBERED or before + remembered > MAX_DEPTH + REMEMBERED:
        raise InvalidCursor(f"cursor: leads nowhere; {_AGAIN}")
    bound = [parts[start : start + _PART_BYTES] for start in range(0, len(parts), _PART_BYTES)]
    return expires, Position(ids, before, above), bound


def _identity(term: Term) -> object:
    """A value that distinguishes a term from others. For an image it is a hash of its pixels: clients may send the same image again
    in another form."""
    if not isinstance(term, ImageTerm):
        return term
    return term.pixels.shape, _digest(np.ascontiguousarray(term.pixels).tobytes(), 16)


def _digest(data: bytes, size: int) -> bytes:
    return hashlib.blake2b(data, digest_size=size).digest()


def _sum(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_SUM_BYTES, person=b"ml_api cursor 1").digest()


def _short(hit: Hit) -> bytes:
    return bytes.fromhex(hit.record.id[: 2 * _ID_BYTES])


def _score(hit: Hit) -> float:
    return round(hit.score, SCORE_DIGITS)
