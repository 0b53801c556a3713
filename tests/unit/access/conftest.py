"""A database of the test's own."""

import pytest

from tests.databases import new_database
from tests.keys import access, clock, key

__all__ = ["access", "clock", "key"]


@pytest.fixture
def database(tmp_path):
    opened = new_database(tmp_path / "state.sqlite3")
    yield opened
    opened.close()
