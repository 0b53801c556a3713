"""A world for each test, and one database for those of a module."""

from contextlib import closing
from secrets import token_hex

import pytest

from tests.databases import new_database
from tests.unit.indexing.syncs.world import World
from tests.unprivileged import open_folder


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """One for all: what it keeps it keeps for each corpus apart."""
    with closing(new_database(tmp_path_factory.mktemp("state") / "state.sqlite3")) as opened:
        yield opened


@pytest.fixture
def tmp_path(tmp_path_factory):
    """Of a name of its own: `database` knows corpora by it, and pytest gives those of tests that passed to tests of like names."""
    return tmp_path_factory.mktemp(token_hex(8), numbered=False)


@pytest.fixture
def world(tmp_path, database):
    root = tmp_path / "corpus"
    root.mkdir()
    return World(root, database)


@pytest.fixture
def shared_world(database):
    with open_folder() as folder:
        yield World(folder, database)
