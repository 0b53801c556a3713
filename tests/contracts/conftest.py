"""Every implementation of the contracts of stores and corpora, each fresh and empty."""

import uuid

import pytest

from ml_api.database import Database
from ml_api.metrics import Metrics
from ml_api.vectors.coalescing import CoalescingStore
from ml_api.vectors.memory import MemoryStore
from ml_api.vectors.milvus import MilvusEndpoint, MilvusStore, VectorIndex
from tests.contracts.corpora import FolderPlace, MemoryPlace, S3Place
from tests.contracts.samples import DIM, MODEL
from tests.keys import access, clock, key
from tests.servers.milvus import MilvusServer
from tests.servers.postgresql import PostgresServer
from tests.servers.s3 import S3Server
from tests.waiting import wait_until

__all__ = ["access", "clock", "key"]

BACKENDS = ("memory", "coalesced", "milvus-lite", "milvus")
"""`coalesced` is a CoalescingStore over a MemoryStore."""


@pytest.fixture(scope="module")
def milvus_server(tmp_path_factory):
    """For a module, not for the session: an idle server takes a fifth of a core from all other tests."""
    server = MilvusServer(tmp_path_factory.mktemp("milvus"))
    server.start()
    yield server
    server.end()


@pytest.fixture(scope="module")
def store_on_server(milvus_server):
    """One for all tests: a server takes seconds to load a collection."""
    store = MilvusStore(MilvusEndpoint(milvus_server.uri), "contract", VectorIndex(), Metrics())
    store.ensure(MODEL, DIM)
    yield store
    store.close()


def coalesced(metric="COSINE"):
    return CoalescingStore(MemoryStore(metric), Metrics(), timeout_s=60)


@pytest.fixture(params=BACKENDS)
def store(request, tmp_path):
    if request.param == "milvus":
        shared = request.getfixturevalue("store_on_server")
        shared.delete([entry.id for entry in shared.entries()])
        wait_until(lambda: shared.count() == 0)  # a busy server goes on counting what was deleted for a while
        yield shared
        return
    if request.param == "memory":
        fresh = MemoryStore()
    elif request.param == "coalesced":
        fresh = coalesced()
    else:
        fresh = MilvusStore(MilvusEndpoint(str(tmp_path / "vectors.db")), "contract", VectorIndex(), Metrics())
    fresh.ensure(MODEL, DIM)
    yield fresh
    fresh.close()


@pytest.fixture
def make_store(request, tmp_path):
    """Makes unopened stores on a backend, all with the same place and, unless told otherwise, the same new collection."""
    made = []
    name = f"collection_{uuid.uuid4().hex[:8]}"

    def make(backend, index=None, collection=name, **options):
        index = index or VectorIndex()
        if backend == "memory":
            store = MemoryStore(index.metric)
        elif backend == "coalesced":
            store = coalesced(index.metric)
        else:
            uri = str(tmp_path / "made.db") if backend == "milvus-lite" else request.getfixturevalue("milvus_server").uri
            store = MilvusStore(MilvusEndpoint(uri), collection, index, Metrics(), **options)
        made.append(store)
        return store

    yield make
    for store in made:
        store.close()


@pytest.fixture(scope="session")
def postgresql_server():
    with PostgresServer() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path):
    """Of a database that holds nothing yet."""
    if request.param == "sqlite":
        return str(tmp_path / "state.sqlite3")
    return request.getfixturevalue("postgresql_server").new_database()


@pytest.fixture
def database(database_url):
    opened = Database.open(database_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def s3_server():
    server = S3Server()
    server.make_bucket(S3Place.bucket)
    yield server
    server.close()


@pytest.fixture(params=["folder", "memory", "s3"])
def place(request, tmp_path):
    """Where a corpus is kept, empty."""
    match request.param:
        case "folder":
            yield FolderPlace(tmp_path / "corpus")
        case "memory":
            yield MemoryPlace()
        case _:
            yield S3Place(request.getfixturevalue("s3_server"))
