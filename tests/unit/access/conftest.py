"""A database of the test's own."""

import pytest

from ml_api.database import Database
from tests.keys import access, clock, key

__all__ = ["access", "clock", "key"]


@pytest.fixture
def database(tmp_path):
    opened = Database.open(str(tmp_path / "state.sqlite3"))
    yield opened
    opened.close()
