"""How a collection is found, made and recognised, on Milvus Lite and on a server, and answers after a pause."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
from milvus_lite import server_manager_instance
from pymilvus import MilvusClient

from ml_api.cli.environment import keep_this_machine_out
from ml_api.errors import ConfigError
from ml_api.metrics import Metrics
from ml_api.vectors.base import SearchOptions
from ml_api.vectors.milvus import MilvusEndpoint, MilvusStore, VectorIndex
from ml_api.vectors.milvus.collection import CollectionSpec
from ml_api.vectors.milvus.schema import collection_schema
from tests.contracts.samples import DIM, MODEL, axis, record

REAL_BACKENDS = ("milvus-lite", "milvus")

ROWS_OF_A_SEGMENT = 300
IDLE_S = 35
"""pymilvus's third keep-alive ping, at which Milvus Lite's server would hang up, comes after 30 s."""


@pytest.fixture(scope="module", autouse=True)
def idle(tmp_path_factory):
    """An embedded store that nobody asks for anything while the other tests run; and since when."""
    folder = tmp_path_factory.mktemp("idle") / "vectors.db"
    store = MilvusStore(MilvusEndpoint(str(folder)), "idle", VectorIndex(), Metrics())
    store.ensure("model@1", 4)
    yield store, time.monotonic()
    store.close()


def filled(make_store, backend, **options):
    """A collection with one image, closed again."""
    store = make_store(backend, **options)
    store.ensure(MODEL, DIM)
    store.upsert([record("kept")], axis(0))
    store.close()


@pytest.fixture
def milvus(request, tmp_path):
    """`with milvus(backend) as client`: plain pymilvus where `make_store` puts its stores, while none of them is open."""

    @contextmanager
    def connected(backend):
        folder = str(tmp_path / "made.db")
        uri = folder if backend == "milvus-lite" else request.getfixturevalue("milvus_server").uri
        client = MilvusClient(uri=uri, dedicated=True, timeout=60)
        yield client
        client.close()
        server_manager_instance.release_server(folder)

    return connected


@pytest.mark.parametrize("backend", REAL_BACKENDS)
@pytest.mark.parametrize(("model", "dim"), [("other-model@2", DIM), (MODEL, DIM + 4)])
def test_another_model_is_refused_with_both_names_and_the_ways_out(make_store, backend, model, dim):
    filled(make_store, backend)
    store = make_store(backend)
    with pytest.raises(ConfigError) as raised:
        store.ensure(model, dim)
    for words in (MODEL, str(DIM), model, str(dim), "ML_API_MODEL", "ML_API_COLLECTION", "sync"):
        assert words in str(raised.value)
    store.ensure(MODEL, DIM)
    assert store.count() == 1


@pytest.mark.parametrize("backend", REAL_BACKENDS)
@pytest.mark.parametrize(
    ("index", "setting"), [(VectorIndex(metric="L2"), "ML_API_METRIC"), (VectorIndex(kind="FLAT"), "ML_API_INDEX")]
)
def test_another_metric_or_index_is_refused_with_the_ways_out(make_store, backend, index, setting):
    filled(make_store, backend)
    with pytest.raises(ConfigError, match=f"{setting}.*ML_API_COLLECTION"):
        make_store(backend, index=index).ensure(MODEL, DIM)


@pytest.mark.parametrize("backend", REAL_BACKENDS)
def test_parameters_that_do_not_change_the_collection_may_change(make_store, backend):
    filled(make_store, backend)
    store = make_store(backend, index=VectorIndex(hnsw_m=32, hnsw_ef=200))
    store.ensure(MODEL, DIM)
    assert [hit.record.key for hit in store.search(axis(0), SearchOptions(5))[0]] == ["kept"]


@pytest.mark.parametrize("backend", REAL_BACKENDS)
@pytest.mark.parametrize(
    ("index", "built"),
    [
        (VectorIndex(hnsw_m=8, hnsw_ef_construction=77), {"M": 8, "efConstruction": 77}),
        (VectorIndex(kind="IVF_FLAT", ivf_nlist=9), {"nlist": 9}),
    ],
)
def test_the_index_is_built_with_the_parameters_given(make_store, milvus, backend, index, built):
    """pymilvus and Milvus Lite disagree on how they are sent, and Milvus Lite takes its defaults without a word."""
    name = f"built_{uuid.uuid4().hex[:8]}"
    filled(make_store, backend, index=index, collection=name)
    with milvus(backend) as client:
        described = client.describe_index(client.describe_alias(name)["collection_name"], "vector")
    parameters = described | described.get("params", {})
    assert {key: int(parameters[key]) for key in built} == built
    assert (parameters["index_type"], parameters["metric_type"]) == (index.kind, index.metric)


def test_an_index_that_milvus_lite_does_not_have_leaves_no_collection_behind(make_store):
    with pytest.raises(ConfigError, match="Milvus Lite has no SCANN index"):
        make_store("milvus-lite", index=VectorIndex(kind="SCANN")).ensure(MODEL, DIM)
    filled(make_store, "milvus-lite")


def test_an_index_that_the_server_refuses_is_named_with_its_reason_and_leaves_no_collection_behind(make_store, milvus):
    name = f"refused_{uuid.uuid4().hex[:8]}"
    with pytest.raises(ConfigError, match=r"refuses the index SCANN \(nlist 70000\): .*nlist.*have HNSW, FLAT, .*DISKANN"):
        make_store("milvus", index=VectorIndex(kind="SCANN", ivf_nlist=70_000), collection=name).ensure(MODEL, DIM)
    with milvus("milvus") as client:
        assert not [found for found in client.list_collections() if found.startswith(name)]
    filled(make_store, "milvus", collection=name)


@pytest.mark.parametrize("backend", REAL_BACKENDS)
def test_two_collections_do_not_mix(make_store, backend):
    filled(make_store, backend)
    other = make_store(backend, collection=f"other_{uuid.uuid4().hex[:8]}")
    other.ensure("other-model@1", DIM * 2)
    assert other.count() == 0


@pytest.mark.parametrize("backend", REAL_BACKENDS)
def test_a_collection_that_somebody_else_made_is_left_alone(make_store, milvus, backend):
    name = f"theirs_{uuid.uuid4().hex[:8]}"
    with milvus(backend) as client:
        client.create_collection(name, schema=collection_schema(DIM), timeout=60)
    with pytest.raises(ConfigError, match=r"not made by this application.*ML_API_COLLECTION"):
        make_store(backend, collection=name).ensure(MODEL, DIM)


@pytest.mark.parametrize("backend", REAL_BACKENDS)
def test_a_creation_that_was_interrupted_is_completed(make_store, milvus, backend):
    alias = f"interrupted_{uuid.uuid4().hex[:8]}"
    wanted = CollectionSpec(alias, MODEL, DIM, VectorIndex())
    with milvus(backend) as client:
        client.create_collection(wanted.name, schema=collection_schema(DIM), properties=wanted.properties, timeout=60)
    filled(make_store, backend, collection=alias)
    store = make_store(backend, collection=alias)
    store.ensure(MODEL, DIM)
    assert len(store.search(axis(0), SearchOptions(5))[0]) == 1


def test_processes_that_open_at_the_same_time_all_succeed(milvus_server):
    stores = [MilvusStore(MilvusEndpoint(milvus_server.uri), "raced", VectorIndex(), Metrics()) for _ in range(6)]
    with ThreadPoolExecutor(len(stores)) as pool:
        for opened in [pool.submit(store.ensure, MODEL, DIM) for store in stores]:
            opened.result()
    stores[0].upsert([record("seen by all")], axis(0))
    for store in stores:
        assert store.count() == 1
        store.close()


def test_of_processes_with_different_models_one_wins_and_the_others_are_told(milvus_server):
    stores = [MilvusStore(MilvusEndpoint(milvus_server.uri), "contested", VectorIndex(), Metrics()) for _ in range(4)]
    with ThreadPoolExecutor(len(stores)) as pool:
        attempts = [pool.submit(store.ensure, f"model-{number}@1", DIM) for number, store in enumerate(stores)]
        failures = [attempt.exception() for attempt in attempts]
    assert failures.count(None) == 1
    assert all(isinstance(failure, ConfigError) for failure in failures if failure is not None)
    for store in stores:
        store.close()


def test_a_store_keeps_its_collection_when_the_alias_moves_on(make_store, milvus):
    """A new model's collection takes over for processes that start; one that embeds with the old model must not search it."""
    alias = f"moving_{uuid.uuid4().hex[:8]}"
    filled(make_store, "milvus", collection=alias)
    running = make_store("milvus", collection=alias)
    running.ensure(MODEL, DIM)
    filled_anew = make_store("milvus", collection=f"{alias}_new")
    filled_anew.ensure("new-model@1", DIM)
    with milvus("milvus") as client:
        client.alter_alias(client.describe_alias(f"{alias}_new")["collection_name"], alias, timeout=60)
    assert running.count() == 1
    after_restart = make_store("milvus", collection=alias)
    after_restart.ensure("new-model@1", DIM)
    assert after_restart.count() == 0


@pytest.mark.parametrize("backend", REAL_BACKENDS)
def test_a_database_that_does_not_exist_is_a_configuration_error(request, tmp_path, backend):
    uri = str(tmp_path / "made.db") if backend == "milvus-lite" else request.getfixturevalue("milvus_server").uri
    store = MilvusStore(MilvusEndpoint(uri, database="nowhere"), "images", VectorIndex(), Metrics())
    with pytest.raises(ConfigError, match=r"no database 'nowhere'.*ML_API_MILVUS_DATABASE"):
        store.ensure(MODEL, DIM)


def test_half_an_index_file_as_a_crash_leaves_it_is_built_anew(make_store, tmp_path, caplog):
    store = make_store("milvus-lite")
    store.ensure(MODEL, DIM)
    for number in range(0, 2 * ROWS_OF_A_SEGMENT, ROWS_OF_A_SEGMENT):
        some = [record(f"{number + index}") for index in range(ROWS_OF_A_SEGMENT)]
        store.upsert(some, np.random.default_rng(number).standard_normal((len(some), DIM)).astype(np.float32))
        store.flush()
    store.close()
    reopen(make_store)  # builds what was not built yet
    indexes = list((tmp_path / "made.db").rglob("*.idx"))
    assert indexes
    indexes[0].write_bytes(indexes[0].read_bytes()[:-100])

    assert reopen(make_store) == 2 * ROWS_OF_A_SEGMENT
    assert "built anew" in caplog.text
    caplog.clear()
    assert reopen(make_store) == 2 * ROWS_OF_A_SEGMENT
    assert "built anew" not in caplog.text


def reopen(make_store):
    """Open the store, search it, close it. How many rows it has."""
    store = make_store("milvus-lite")
    store.ensure(MODEL, DIM)
    assert len(store.search(axis(0), SearchOptions(5))[0]) == 5
    count = store.count()
    store.close()
    return count


def test_a_folder_that_is_not_there_yet_is_made(tmp_path):
    store = MilvusStore(MilvusEndpoint(str(tmp_path / "a" / "b" / "vectors.db")), "images", VectorIndex(), Metrics())
    store.ensure(MODEL, DIM)
    store.ping()
    store.close()


@pytest.mark.parametrize("backend", REAL_BACKENDS)
def test_a_dead_proxy_in_the_environment_is_not_asked(make_store, backend, milvus, monkeypatch):
    with milvus(backend):  # a server is started before it sees the variables
        pass
    environ = dict.fromkeys(("http_proxy", "https_proxy", "grpc_proxy"), "http://127.0.0.1:9")
    keep_this_machine_out(environ)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    filled(make_store, backend)


def test_an_embedded_store_answers_after_a_pause(idle):
    """The last one here: most of the pause is over."""
    store, since = idle
    time.sleep(max(0.0, since + IDLE_S - time.monotonic()))  # the pause is what is tested
    store.ping()
    assert store.count() == 0
