"""When API keys are asked for, and what is said of it."""

import logging
import time

import pytest

from ml_api.access import Scope
from ml_api.access.keys import create, revoke
from ml_api.addresses import is_loopback
from ml_api.errors import ConfigError
from ml_api.services.parts import access_of
from ml_api.settings import load_settings
from tests.databases import new_database

ASKED = [
    ({}, False),
    ({"host": "::1"}, False),
    ({"host": "localhost"}, False),
    ({"host": "127.9.9.9"}, False),
    ({"host": "0.0.0.0"}, True),
    ({"host": "::"}, True),
    ({"host": "192.0.2.7"}, True),
    ({"host": "nas.lan"}, True),
    ({"auth": "on"}, True),
    ({"auth": "off", "host": "0.0.0.0"}, False),
    ({"host": "0.0.0.0", "published_host": "127.0.0.1"}, False),
    ({"host": "0.0.0.0", "published_host": "0.0.0.0"}, True),
    ({"host": "0.0.0.0", "published_host": "127.0.0.1", "auth": "on"}, True),
]


@pytest.fixture
def database(tmp_path):
    opened = new_database(tmp_path / "state.sqlite3")
    yield opened
    opened.close()


def settings(given):
    return load_settings({f"ML_API_{name.upper()}": value for name, value in given.items()})


@pytest.mark.parametrize(("given", "is_asked"), ASKED)
def test_keys_are_asked_for_where_others_reach_the_service(database, given, is_asked):
    create(database, "laptop", [Scope.SEARCH], now=time.time())
    assert (access_of(settings(given), database) is not None) is is_asked


@pytest.mark.parametrize("given", [given for given, is_asked in ASKED if is_asked])
def test_without_a_key_the_ways_out_are_named(database, given):
    key, _ = create(database, "gone", [Scope.SEARCH], now=time.time())
    revoke(database, key.id, now=time.time())
    with pytest.raises(ConfigError) as refused:
        access_of(settings(given), database)
    told = refused.value.detail
    assert "keys create NAME --scope" in told
    assert "ML_API_AUTH=off" in told
    others = not is_loopback(given.get("published_host") or given.get("host", "127.0.0.1"))
    assert ("others reach" in told, "ML_API_HOST" in told, "ML_API_AUTH=on asks for one" in told) == (others, others, not others)


def test_a_restart_after_the_last_key_expired_warns(database, caplog):
    create(database, "old", [Scope.SEARCH], now=0.0, expires_at=1.0)
    assert access_of(settings({"auth": "on"}), database) is not None
    assert "every API key has expired" in caplog.text


@pytest.mark.parametrize(
    ("given", "level", "said"),
    [
        ({}, logging.INFO, "without API keys: only this machine reaches 127.0.0.1"),
        (
            {"host": "0.0.0.0", "auth": "off"},
            logging.WARNING,
            "(ML_API_AUTH=off): every client that reaches 0.0.0.0 may do everything",
        ),
    ],
)
def test_that_no_keys_are_asked_for_stands_in_the_log(database, caplog, given, level, said):
    caplog.set_level(logging.INFO)
    access_of(settings(given), database)
    [line] = [record for record in caplog.records if "access" in record.getMessage()]
    assert (line.levelno, said in line.getMessage()) == (level, True)
