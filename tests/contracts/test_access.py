"""Keys and sessions, on SQLite and on PostgreSQL."""

import pytest
from sqlalchemy import event, select, text

from ml_api.access import Access, Scope
from ml_api.access.access import MAX_SESSIONS, MISS_EVERY_S, SESSION_S, TRUST_S, USE_EVERY_S
from ml_api.access.keys import create, digest_of, is_secret, new_secret, revoke
from ml_api.database import Database
from ml_api.database.tables import SessionRow
from ml_api.errors import DatabaseUnavailable
from tests.keys import START, last_use, refused


def test_a_key_is_known_by_what_was_said_of_it(access, key):
    described, secret = key
    found = access.key_of(secret)
    assert found == described
    assert (found.name, found.scopes, found.created_at, found.expires_at) == ("laptop", {Scope.SEARCH, Scope.WRITE}, START, None)
    assert is_secret(secret)


def test_the_database_holds_no_key_and_no_token(database, access, key):
    _, secret = key
    token = access.sign_in(secret).token
    with database.read() as session:
        held = [str(row) for table in ("api_keys", "sessions") for row in session.execute(text(f"SELECT * FROM {table}"))]
    assert len(held) == 2
    assert not [row for row in held if secret[6:] in row or token[6:] in row]
    assert digest_of(secret) in held[0]


def test_a_new_key_works_at_once_beside_a_running_service(database, access, clock):
    clock.now += MISS_EVERY_S
    _, secret = create(database, "new", [Scope.ADMIN], now=clock.now)
    assert access.key_of(secret).name == "new"


def test_a_key_and_a_session_of_it_may_come_while_the_keys_are_read(database, access, clock):
    """PostgreSQL showed the session to the second statement and had not shown the key to the first: nobody's key was read anew."""
    created = []

    def sign_in(*_statement):
        if not created:
            created.append(True)
            _, secret = create(database, "meanwhile", [Scope.SEARCH], now=clock.now)
            created.append(Access(database, clock).sign_in(secret).token)

    event.listen(database._engine, "after_cursor_execute", sign_in)
    try:
        access.refresh()
    finally:
        event.remove(database._engine, "after_cursor_execute", sign_in)
    clock.now += MISS_EVERY_S
    assert access.holder_of(created[1]).name == "meanwhile"


def test_a_revoked_key_is_refused_from_the_next_refresh_on(database, access, key):
    described, secret = key
    revoke(database, described.id, now=START)
    access.refresh()
    assert refused(access, secret).detail.startswith(f"the API key {described.id} (laptop) was revoked on 2027-01-15")


def test_the_last_use_is_written_at_most_once_a_minute_and_at_the_end(database, access, key, clock):
    access.key_of(key[1])
    assert last_use(database) is None, "in the way of the request"
    access.refresh()
    assert last_use(database) == START
    clock.now += USE_EVERY_S - 1
    access.key_of(key[1])
    access.refresh()
    assert last_use(database) == START
    clock.now += 2
    access.key_of(key[1])
    access.refresh()
    assert last_use(database) == clock.now
    clock.now += 1
    access.key_of(key[1])
    access.close()
    assert last_use(database) == clock.now


def test_the_last_use_by_any_replica_counts(database, access, key, clock):
    other = Access(database, clock, clock)
    access.key_of(key[1])
    clock.now += 10
    other.key_of(key[1])
    other.close()
    access.close()
    assert last_use(database) == START + 10


def test_a_session_stands_for_its_key_and_is_known_to_every_replica(database, access, key, clock):
    other = Access(database, clock, clock)
    session = access.sign_in(key[1])
    clock.now += MISS_EVERY_S
    assert access.holder_of(session.token) == other.holder_of(session.token) == key[0]
    assert session.expires_at == START + SESSION_S


def test_the_number_of_sessions_is_bounded_and_old_ones_are_cleared_away(database, access, key, clock):
    with database.write() as session:
        session.add_all(
            SessionRow(digest=f"{number}", key=key[0].id, created_at=START - number, expires_at=START + 1)
            for number in range(1, MAX_SESSIONS + 1)
        )
    access.sign_in(key[1])
    with database.read() as session:
        held = {row.digest for row in session.scalars(select(SessionRow))}
    assert len(held) == MAX_SESSIONS
    assert str(MAX_SESSIONS) not in held, "the oldest"
    clock.now += 2
    access.sign_in(key[1])
    with database.read() as session:
        assert len(session.scalars(select(SessionRow)).all()) == 2, "those that ended are gone"


def test_known_keys_work_for_a_while_without_the_database(postgresql_server, clock):
    database = Database.open(postgresql_server.new_database())
    _, secret = create(database, "laptop", [Scope.SEARCH], now=START)
    access = Access(database, clock, clock)
    token = access.sign_in(secret).token
    postgresql_server.stop()
    try:
        clock.now += MISS_EVERY_S
        access.refresh()
        assert access.key_of(secret) == access.holder_of(token)
        with pytest.raises(DatabaseUnavailable, match="cannot be looked up now"):
            access.key_of(new_secret())
        with pytest.raises(DatabaseUnavailable):
            access.sign_in(secret)
        clock.now = START + TRUST_S + 1
        access.refresh()
        with pytest.raises(DatabaseUnavailable, match="has not answered for long"):
            access.key_of(secret)
    finally:
        postgresql_server.start()
    access.refresh()
    assert access.key_of(secret).name == "laptop"
    refused(access, new_secret())
    access.close()
    assert last_use(database) == clock.now
    database.close()
