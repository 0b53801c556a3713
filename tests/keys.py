"""What the tests of API keys share: a key in a database, what checks it, a clock that they set."""

import pytest
from sqlalchemy import event

from ml_api.access import Access, Scope
from ml_api.access.keys import create, every_key
from ml_api.errors import Unauthorized

START = 1_800_000_000.0
DAY = 24 * 3600.0


class Clock:
    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def key(database):
    """A description and the key itself."""
    return create(database, "laptop", [Scope.WRITE, Scope.SEARCH], now=START)


@pytest.fixture
def access(database, key, clock):
    return Access(database, clock, clock)


def refused(access, secret, way="key_of"):
    with pytest.raises(Unauthorized) as refusal:
        getattr(access, way)(secret)
    assert not secret or secret not in refusal.value.detail
    return refusal.value


def last_use(database):
    return {key.name: key.last_used_at for key in every_key(database)}["laptop"]


def statements(database):
    """What the database is asked from now on."""
    asked = []
    event.listen(database._engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    return asked
