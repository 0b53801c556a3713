"""Checks keys and sessions against memory, and keeps that in step with the database."""

import hmac
import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import delete, or_, select, update

from ml_api.access.keys import ApiKey, digest_of, is_secret, new_secret
from ml_api.database import Database
from ml_api.database.tables import ApiKeyRow, SessionRow
from ml_api.errors import DatabaseUnavailable, Unauthorized
from ml_api.logs.throttle import LogThrottle

REFRESH_EVERY_S: Final = 2.0
"""How soon a revoked key stops working."""
MISS_EVERY_S: Final = 1.0
"""How often the database is read for the sake of a key that is not in memory: it may be new."""
PATIENCE_S: Final = 0.5
"""How long such a request waits for another that reads."""
TRUST_S: Final = 15 * 60.0
"""How long keys are taken as valid while the database does not answer."""
USE_EVERY_S: Final = 60.0
"""How often the last use of a key is written, at most."""
SESSION_S: Final = 7 * 24 * 3600.0
MAX_SESSIONS: Final = 1000
"""Sessions of all keys together, which are in memory; the oldest end."""

INVALID: Final = "invalid-api-key"
"""Code of the refusal of a key or session that is unknown, expired or revoked."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Session:
    """A visitor's, who signed in with a key. The browser keeps the token."""

    token: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class _Entry:
    """A row in memory: of a key, or of a session that was opened with it."""

    digest: str
    key: ApiKey
    ends_at: float = math.inf


@dataclass(frozen=True, slots=True)
class _Known:
    """What the database holds, by digest."""

    keys: Mapping[str, _Entry]
    sessions: Mapping[str, _Entry]


class Access:
    """Valid keys and sessions. Thread-safe: a request with a key in memory waits for no other.

    `clock` tells the time, `timer` measures waits.
    """

    def __init__(
        self, database: Database, clock: Callable[[], float] = time.time, timer: Callable[[], float] = time.monotonic
    ) -> None:
        """Call `refresh` regularly. Raises DatabaseUnavailable."""
        self._database = database
        self._clock = clock
        self._timer = timer
        self._lock = threading.Lock()
        """Held while the database is read, or sessions change."""
        self._outages = LogThrottle(_log)
        self._used: dict[str, float] = {}
        self._written: dict[str, float] = {}
        self._read()

    @property
    def keys(self) -> list[ApiKey]:
        return [entry.key for entry in self._known.keys.values()]

    def key_of(self, secret: str) -> ApiKey:
        """What is known of a key. Raises Unauthorized, and DatabaseUnavailable if it is not in memory and cannot be looked up."""
        return self._checked(secret, "keys")

    def holder_of(self, token: str) -> ApiKey:
        """The key that a session was opened with. Raises as `key_of`."""
        return self._checked(token, "sessions")

    def sign_in(self, secret: str) -> Session:
        """Open a session. Raises as `key_of`."""
        key, now, token = self.key_of(secret), self._clock(), new_secret()
        expires_at = min(now + SESSION_S, key.expires_at or math.inf)
        newest = select(SessionRow.digest).order_by(SessionRow.created_at.desc()).limit(MAX_SESSIONS)
        with self._lock:
            with self._database.write() as session:
                session.add(SessionRow(digest=digest_of(token), key=key.id, created_at=now, expires_at=expires_at))
                session.flush()
                session.execute(delete(SessionRow).where(or_(SessionRow.expires_at <= now, SessionRow.digest.not_in(newest))))
            self._read()
        return Session(token, expires_at)

    def sign_out(self, token: str) -> None:
        """End a session; nothing if there is none. Raises DatabaseUnavailable."""
        with self._lock:
            with self._database.write() as session:
                session.execute(delete(SessionRow).where(SessionRow.digest == digest_of(token)))
            self._read()

    def refresh(self) -> None:
        """Read what other processes have changed, and write which keys were used. Outages are logged."""
        with self._lock:
            self._try_to_read()
        self._write_uses(USE_EVERY_S)

    def close(self) -> None:
        """Write the last uses."""
        self._write_uses(0.0)

    def _checked(self, secret: str, kind: Literal["keys", "sessions"]) -> ApiKey:
        if not is_secret(secret):
            raise _unknown(kind)
        digest = digest_of(secret)
        entry: _Entry | None = getattr(self._known, kind).get(digest)
        if entry is None:
            self._catch_up()
            entry = getattr(self._known, kind).get(digest)
        if entry is None or not hmac.compare_digest(entry.digest, digest):
            raise _unknown(kind)
        if self._timer() - self._read_at > TRUST_S:
            raise DatabaseUnavailable("API keys cannot be checked now: the database has not answered for long")
        now = self._clock()
        if end := entry.key.end(now):
            raise Unauthorized(f"the API key {entry.key.id} ({entry.key.name}) {end}", code=INVALID)
        if entry.ends_at <= now:
            raise _unknown(kind)
        self._used[entry.key.id] = now
        return entry.key

    def _catch_up(self) -> None:
        """Look whether a key is new, for all that ask within a second together. Raises DatabaseUnavailable."""
        if not self._lock.acquire(timeout=PATIENCE_S):
            raise _unsure()
        try:
            if self._timer() - self._tried_at >= MISS_EVERY_S:
                self._try_to_read()
            if self._is_out:
                raise _unsure()
        finally:
            self._lock.release()

    def _try_to_read(self) -> None:
        try:
            self._read()
        except DatabaseUnavailable as exc:
            self._is_out = True
            self._outages.log(exc.slug, f"API keys are checked from memory: {exc.detail}", logging.ERROR, exc)

    def _read(self) -> None:
        """Raises DatabaseUnavailable.

        Sessions before keys: PostgreSQL shows to each statement what is committed by then, and a session
        comes after its key. A key that was lent may be gone by then.
        """
        self._tried_at = self._timer()
        with self._database.read() as session:
            plain = select(SessionRow.digest, SessionRow.key, SessionRow.expires_at)  # in half the time of objects
            rows = session.execute(plain).all()
            keys = {row.id: _Entry(row.digest, ApiKey.of(row)) for row in session.scalars(select(ApiKeyRow))}
        sessions = [_Entry(digest, keys[key].key, expires_at) for digest, key, expires_at in rows if key in keys]
        by_digest = [{entry.digest: entry for entry in entries} for entries in (keys.values(), sessions)]
        self._known, self._read_at, self._is_out = _Known(*by_digest), self._timer(), False

    def _write_uses(self, every_s: float) -> None:
        due = {key: at for key, at in self._used.copy().items() if at - self._written.get(key, -math.inf) > every_s}
        if not due:
            return
        try:
            with self._database.write() as session:
                for key, at in due.items():
                    later = or_(ApiKeyRow.last_used_at.is_(None), ApiKeyRow.last_used_at < at)
                    session.execute(update(ApiKeyRow).where(ApiKeyRow.id == key, later).values(last_used_at=at))
        except DatabaseUnavailable as exc:
            self._outages.log(exc.slug, f"the last use of API keys cannot be written: {exc.detail}", logging.ERROR, exc)
        else:
            self._written |= due


def _unknown(kind: Literal["keys", "sessions"]) -> Unauthorized:
    said = "the API key is not one of this service's" if kind == "keys" else "the session is over; sign in again"
    return Unauthorized(said, code=INVALID)


def _unsure() -> DatabaseUnavailable:
    return DatabaseUnavailable("the API key cannot be looked up now: the database does not answer")
