"""A captioned corpus, and a database for what is fitted on it."""

import pytest

from ml_api.embedding.fake import FakeEncoder, FakePreprocessor
from tests.captioned import filled
from tests.databases import new_database


@pytest.fixture
def model():
    return FakePreprocessor(), FakeEncoder()


@pytest.fixture
def store():
    return filled()


@pytest.fixture
def database(tmp_path):
    database = new_database(tmp_path / "state.sqlite3")
    yield database
    database.close()
