"""API keys: how they look, and their rows in the database.

A key is 256 random bits, so a plain SHA-256 of it is enough to keep: the slow hashes of passwords hinder the guessing of words that
people choose, and 256 bits cannot be guessed. A fast hash is what allows every request to be checked.
"""

import hashlib
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

from sqlalchemy import delete, func, select

from ml_api.access.scopes import Scope
from ml_api.database import Database
from ml_api.database.tables import ApiKeyRow, SessionRow
from ml_api.errors import InvalidInput, NotFound
from ml_api.logs import SECRET, SECRET_PREFIX

MAX_KEYS: Final = 1000
"""Not revoked. Every service holds them all in memory."""
MAX_NAME_CHARS: Final = 100
_ID_BYTES: Final = 4
_SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key; the key itself is known to its holder only. Times are seconds since the epoch."""

    id: str
    name: str
    scopes: frozenset[Scope]
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None
    last_used_at: float | None = None

    @classmethod
    def of(cls, row: ApiKeyRow) -> Self:
        scopes = frozenset(Scope(name) for name in row.scopes.split(","))
        return cls(row.id, row.name, scopes, row.created_at, row.expires_at, row.revoked_at, row.last_used_at)

    def end(self, now: float) -> str:
        """How it came to be invalid; empty if it is valid."""
        if self.revoked_at is not None:
            return f"was revoked on {day_of(self.revoked_at)}"
        if self.expires_at is not None and self.expires_at <= now:
            return f"expired on {day_of(self.expires_at)}"
        return ""


def new_secret() -> str:
    """A key or the token of a session: in one word, so that a double click marks all of it, and recognisable by programs that look
    for leaked secrets.
    """
    return SECRET_PREFIX + secrets.token_hex(_SECRET_BYTES)


def is_secret(text: str) -> bool:
    return SECRET.fullmatch(text) is not None


def digest_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def create(
    database: Database, name: str, scopes: Iterable[Scope], *, now: float, expires_at: float | None = None
) -> tuple[ApiKey, str]:
    """A new key: its record, and the key itself, which cannot be read again. Raises InvalidInput, DatabaseUnavailable."""
    name = name.strip()
    if not name or len(name) > MAX_NAME_CHARS or not name.isprintable():
        raise InvalidInput(f"the name of a key has 1 to {MAX_NAME_CHARS} characters, on one line")
    listed = ",".join(scope for scope in Scope if scope in frozenset(scopes))
    assert listed, "a key may do something"
    secret = new_secret()
    row = ApiKeyRow(
        id=secrets.token_hex(_ID_BYTES), name=name, digest=digest_of(secret), scopes=listed, created_at=now, expires_at=expires_at
    )
    with database.write() as session:
        if (session.scalar(select(func.count()).where(ApiKeyRow.revoked_at.is_(None))) or 0) >= MAX_KEYS:
            raise InvalidInput(f"there are {MAX_KEYS:,} keys, the most there can be; revoke those that are not in use")
        session.add(row)
    return ApiKey.of(row), secret


def every_key(database: Database) -> list[ApiKey]:
    """In the order of their making, revoked ones too. Raises DatabaseUnavailable."""
    with database.read() as session:
        return [ApiKey.of(row) for row in session.scalars(select(ApiKeyRow).order_by(ApiKeyRow.created_at))]


def revoke(database: Database, key_id: str, *, now: float) -> ApiKey:
    """End a key and its sessions; one that was revoked before stays so. Raises NotFound, DatabaseUnavailable."""
    with database.write() as session:
        row = session.get(ApiKeyRow, key_id) if key_id.isascii() else None  # what is not UTF-8 cannot be asked for
        if row is None:
            raise NotFound(f"there is no key {key_id!r}; `keys list` has their ids")
        row.revoked_at = row.revoked_at or now
        for open_one in session.scalars(select(SessionRow).where(SessionRow.key == key_id)):
            session.delete(open_one)
    return ApiKey.of(row)


@contextmanager
def lent(database: Database, name: str, scopes: Iterable[Scope], *, now: float, for_s: float) -> Iterator[str]:
    """A key for the length of a context, of which nothing is left after it. Raises as `create` does."""
    key, secret = create(database, name, scopes, now=now, expires_at=now + for_s)
    try:
        yield secret
    finally:
        with database.write() as session:
            session.execute(delete(ApiKeyRow).where(ApiKeyRow.id == key.id))


def day_of(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
