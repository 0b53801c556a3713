"""What memory knows of keys and sessions, over SQLite; tests/contracts/test_access.py has what databases may differ in."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from ml_api.access import Access, Scope
from ml_api.access.access import MISS_EVERY_S, SESSION_S
from ml_api.access.keys import MAX_KEYS, create, new_secret, revoke
from ml_api.database.tables import ApiKeyRow, SessionRow
from ml_api.errors import InvalidInput, NotFound, Unauthorized
from tests.keys import DAY, START, last_use, refused, statements


@pytest.mark.parametrize(
    "secret", ["", "mlapi_", "mlapi_" + "0" * 63, "mlapi_" + "0" * 65, "x" * 70, "mlapi_" + "Z" * 64, "é" * 70]
)
def test_what_does_not_look_like_a_key_costs_no_question_of_the_database(database, access, secret):
    asked = statements(database)
    assert refused(access, secret).slug == "invalid-api-key"
    assert asked == []


def test_a_key_in_memory_costs_no_question_of_the_database(database, access, key):
    asked = statements(database)
    for _ in range(100):
        access.key_of(key[1])
    assert asked == []


def test_unknown_keys_cost_one_question_a_second_together(database, access, clock):
    asked = statements(database)
    clock.now += MISS_EVERY_S
    for _ in range(50):
        assert refused(access, new_secret()).slug == "invalid-api-key"
    assert len([statement for statement in asked if "api_keys" in statement]) == 1


def test_several_keys_of_one_name_are_valid_at_once(database, access, key, clock):
    clock.now += MISS_EVERY_S
    _, second = create(database, "laptop", [Scope.SEARCH], now=clock.now)
    assert {access.key_of(key[1]).name, access.key_of(second).name} == {"laptop"}


def test_a_key_that_was_revoked_twice_stays_revoked_since_the_first_time(database, key):
    revoke(database, key[0].id, now=START)
    assert revoke(database, key[0].id, now=START + 5).revoked_at == START


def test_revoking_what_is_not_there_says_so(database):
    for unknown in ("x", "ü", "\udcff"):  # the last is how Python reads an argument that is not UTF-8
        with pytest.raises(NotFound, match="there is no key '"):
            revoke(database, unknown, now=START)


def test_a_key_expires(database, clock):
    _, secret = create(database, "short", [Scope.SEARCH], now=START, expires_at=START + DAY)
    access = Access(database, clock, clock)
    clock.now += DAY - 1
    access.refresh()
    assert access.key_of(secret).name == "short"
    clock.now += 1
    assert "expired on 2027-01-16" in refused(access, secret).detail


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "x" * 101])
def test_a_name_is_one_short_line(database, name):
    with pytest.raises(InvalidInput, match="the name of a key has 1 to 100 characters"):
        create(database, name, [Scope.SEARCH], now=START)


def test_the_number_of_keys_is_bounded(database):
    with database.write() as session:
        session.add_all(
            ApiKeyRow(id=f"{number}", name="x", digest=f"{number}", scopes="search", created_at=START) for number in range(MAX_KEYS)
        )
    with pytest.raises(InvalidInput, match="revoke those that are not in use"):
        create(database, "one more", [Scope.SEARCH], now=START)
    revoke(database, "0", now=START)
    create(database, "one more", [Scope.SEARCH], now=START)


def test_a_refused_key_was_not_used(database, access, key, clock):
    revoke(database, key[0].id, now=START)
    access.refresh()
    refused(access, key[1])
    access.close()
    assert last_use(database) is None


def test_a_session_is_no_key_and_a_key_no_session(access, key):
    token = access.sign_in(key[1]).token
    refused(access, token)
    assert refused(access, key[1], "holder_of").detail == "the session is over; sign in again"


def test_a_session_ends_when_it_is_signed_out(access, key):
    token = access.sign_in(key[1]).token
    access.sign_out(token)
    refused(access, token, "holder_of")
    access.sign_out(token)


def test_a_session_ends_with_its_time(access, key, clock):
    token = access.sign_in(key[1]).token
    clock.now += SESSION_S
    access.refresh()
    refused(access, token, "holder_of")


def test_a_session_ends_with_its_key(database, access, key):
    token = access.sign_in(key[1]).token
    revoke(database, key[0].id, now=START)
    access.refresh()
    refused(access, token, "holder_of")


def test_a_session_does_not_outlive_its_key(database, clock):
    _, secret = create(database, "short", [Scope.SEARCH], now=START, expires_at=START + DAY)
    assert Access(database, clock, clock).sign_in(secret).expires_at == START + DAY


def test_only_a_valid_key_opens_a_session(database, access):
    with pytest.raises(Unauthorized):
        access.sign_in(new_secret())
    with database.read() as session:
        assert session.scalars(select(SessionRow)).all() == []


def test_signing_in_while_the_database_is_read_loses_no_session(access, key):
    stop = threading.Event()

    def keep_reading():
        while not stop.is_set():
            access.refresh()

    with ThreadPoolExecutor(5) as pool:
        reading = pool.submit(keep_reading)
        try:
            tokens = list(pool.map(lambda _: access.sign_in(key[1]).token, range(20)))
            assert {access.holder_of(token).id for token in tokens} == {key[0].id}
        finally:
            stop.set()
        reading.result(30)
