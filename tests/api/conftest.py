"""The application over stand-ins, anew for every test."""

import pytest

from ml_api.indexing.changes import Changes
from tests.api.stand import build_stand, write_corpus
from tests.databases import new_database


@pytest.fixture
def make_stand(tmp_path):
    """Builds an application; keyword arguments replace parts of its services."""
    root = write_corpus(tmp_path / "corpus")
    opened = []

    def make(**replaced):
        stand = build_stand(root, tmp_path / "thumbnails", **replaced)
        opened.append(stand)
        return stand

    yield make
    for stand in opened:
        stand.services.close()


@pytest.fixture
def unconsumed(make_stand, tmp_path):
    """An application whose changes nobody looks at."""
    database = new_database(tmp_path / "unconsumed.sqlite3")

    class Unheard(Changes):
        def on_notice(self, listener):
            pass

    yield make_stand(database=database, changes=Unheard(database, str((tmp_path / "corpus").resolve())))
    database.close()


@pytest.fixture
def stand(make_stand):
    return make_stand()


@pytest.fixture
def client(stand):
    return stand.client


@pytest.fixture(scope="module")
def shared_stand(tmp_path_factory):
    """One application for all tests of a module, which leave it as it is."""
    folder = tmp_path_factory.mktemp("shared")
    stand = build_stand(write_corpus(folder / "corpus"), folder / "thumbnails", words=True)
    yield stand
    stand.services.close()


@pytest.fixture(scope="module")
def document(shared_stand):
    """Its OpenAPI document."""
    return shared_stand.client.get("/openapi.json").get_json()
