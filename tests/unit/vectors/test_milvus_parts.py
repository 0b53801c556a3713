"""The parts of MilvusStore that need no Milvus."""

import errno
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import grpc
import pytest
from pymilvus import MilvusException

from ml_api.errors import ConfigError, StoreUnavailable
from ml_api.vectors.milvus import MilvusEndpoint, VectorIndex
from ml_api.vectors.milvus.embedded.access import EmbeddedAccess
from ml_api.vectors.milvus.embedded.flushing import FULL_BYTES, SEARCHED_S, SLOW_AGE_S, SLOW_ROWS
from ml_api.vectors.milvus.embedded.locks import SharedLock
from ml_api.vectors.milvus.embedded.recovery import EVERY_S
from ml_api.vectors.milvus.failures import startup_failures, translated
from ml_api.vectors.milvus.schema import CHUNK_BYTES, chunks, rows_of
from tests.contracts.samples import record, unit_vectors


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Flushes:
    """Counts, and then does what a test wants."""

    def __init__(self):
        self.count = 0
        self.then = lambda: None

    def __call__(self):
        self.count += 1
        self.then()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def flushes():
    return Flushes()


@pytest.fixture
def access(tmp_path, clock, flushes):
    access = EmbeddedAccess(str(tmp_path / "vectors.db"), timeout_s=0.2, clock=clock)
    access.open()
    access.attach(flushes)
    flushes.count = 0
    yield access
    access.close(lambda: None)


def write(access, rows=1, size=100):
    with access.writing(rows, size):
        pass


def search(access, timeout_s=0.2):
    with access.searching(timeout_s):
        pass


def tend(access):
    access.tend(lambda: pytest.fail("nothing has failed"))


def test_rows_are_flushed_when_there_are_many_and_somebody_searches(access, flushes):
    search(access)
    write(access, rows=SLOW_ROWS - 1)
    assert flushes.count == 0
    write(access)
    assert flushes.count == 1
    write(access)
    assert flushes.count == 1


def test_rows_are_flushed_when_they_are_large(access, flushes):
    write(access, size=FULL_BYTES)
    assert flushes.count == 1


def test_many_small_writes_are_as_large_as_their_frames(access, flushes):
    for _ in range(FULL_BYTES // 4096 - 1):
        write(access, rows=1, size=0)
    assert flushes.count == 0
    write(access, rows=1, size=0)
    assert flushes.count == 1


def test_while_nobody_searches_rows_wait_for_a_large_file(access, flushes, clock):
    write(access, rows=SLOW_ROWS)
    clock.now += 6
    write(access, rows=SLOW_ROWS)
    tend(access)
    assert flushes.count == 0
    search(access)
    assert flushes.count == 0
    write(access)
    assert flushes.count == 1
    clock.now += SEARCHED_S
    write(access, rows=SLOW_ROWS)
    assert flushes.count == 1


def test_the_write_after_old_rows_flushes_while_somebody_searches(access, flushes, clock):
    write(access)
    clock.now += SLOW_AGE_S - 1
    search(access)
    clock.now += 2
    write(access)
    assert flushes.count == 1


def test_the_health_check_after_old_rows_flushes_once_if_somebody_searches(access, flushes, clock):
    write(access)
    clock.now += SLOW_AGE_S + 1
    tend(access)
    assert flushes.count == 0
    search(access)
    assert flushes.count == 0
    for _ in range(2):
        tend(access)
        assert flushes.count == 1


def test_a_health_check_leaves_the_flush_to_who_writes(access, flushes):
    write(access, rows=SLOW_ROWS)
    search(access)
    with access.writing(1, 100), ThreadPoolExecutor(1) as pool:
        pool.submit(tend, access).result()
        assert flushes.count == 0
    assert flushes.count == 1


def test_a_search_waits_for_no_writer(access, flushes):
    write(access, rows=SLOW_ROWS)
    with access.writing(1, 100), ThreadPoolExecutor(1) as pool:
        pool.submit(search, access).result()
        assert flushes.count == 0


def fail(access):
    with access.writing(1, 100):
        raise StoreUnavailable("the write failed")


def test_nothing_is_flushed_after_a_write_that_failed(access, flushes):
    """The flush would delete the log that has what was acknowledged before."""
    search(access)
    write(access, rows=SLOW_ROWS - 1)
    with pytest.raises(StoreUnavailable, match="write failed"):
        fail(access)
    for refused in (search, write):
        with pytest.raises(StoreUnavailable, match="takes no calls"):
            refused(access)
    assert flushes.count == 0


@contextmanager
def flushing(access, flushes):
    """A flush that goes on until the context ends."""
    began, finish = threading.Event(), threading.Event()

    def slow():
        began.set()
        assert finish.wait(10)

    flushes.then = slow
    with ThreadPoolExecutor(1) as pool:
        flushed = pool.submit(access.flush)
        assert began.wait(10)
        yield
        finish.set()
        flushed.result()


def test_searches_go_on_during_a_flush_and_a_flush_beside_a_search_that_takes_long(access, flushes):
    """A flush waited for all searches, and all others for the flush."""
    with flushing(access, flushes):
        search(access)
    with access.searching(0.2):
        access.flush()
    assert flushes.count == 2


def test_nobody_reads_while_all_is_read_from_the_disk_again(access):
    with pytest.raises(StoreUnavailable, match="write failed"):
        fail(access)

    def load():
        with pytest.raises(TimeoutError), access._readers.shared(0.05):
            pytest.fail("read meanwhile")

    access.tend(load)
    search(access)


def test_a_second_writer_waits_and_then_gives_up(access):
    with access.writing(1, 1), ThreadPoolExecutor(1) as pool, pytest.raises(StoreUnavailable, match="another write"):
        pool.submit(write, access).result()


def test_after_a_failed_write_all_is_refused(access):
    with pytest.raises(OSError, match="disk full"), access.writing(1, 1):
        raise OSError("disk full")
    for refused in (access.check, access.flush, lambda: write(access)):
        with pytest.raises(StoreUnavailable, match="takes no calls"):
            refused()


def test_after_a_failed_flush_all_is_refused(access, flushes):
    def fail():
        raise OSError("disk full")

    flushes.then = fail
    with pytest.raises(OSError, match="disk full"):
        access.flush()
    with pytest.raises(StoreUnavailable, match="takes no calls"):
        access.check()


def test_what_failed_is_read_from_the_disk_again_until_it_can_be_written(access, flushes, clock, caplog):
    loaded = []

    def fail():
        raise StoreUnavailable("the vector store has no space left on its disk (flush)")

    access.tend(lambda: loaded.append("for nothing"))
    flushes.then = fail
    for attempt in (access.flush, lambda: access.tend(lambda: loaded.append("in vain"))):
        with pytest.raises(StoreUnavailable, match="no space left"):
            attempt()
        with pytest.raises(StoreUnavailable, match="takes no calls"):
            access.check()
    flushes.then = lambda: None
    access.tend(lambda: loaded.append("too soon"))
    clock.now += EVERY_S
    access.tend(lambda: loaded.append("in the end"))
    assert loaded == ["in vain", "in the end"]
    write(access)
    assert [record.levelname for record in caplog.records] == ["CRITICAL", "WARNING"]


def test_a_writer_who_waited_for_a_store_that_was_closed_is_no_write_that_failed(access, caplog):
    access.close(lambda: None)
    with pytest.raises(StoreUnavailable, match="is closed"):
        write(access)
    assert not caplog.records


def written(answered):
    """What `translated` raises, after what the engine or its server answered."""
    with pytest.raises(StoreUnavailable) as told, translated("delete", 10):
        raise answered
    return told.value


def by_engine(raised):
    """An answer of the engine in this process."""
    answer = MilvusException(1, f"about {raised}")
    answer.__cause__ = raised
    return answer


def by_server():
    """Its answer as pymilvus raises it, from itself: a look for the first error had no end."""
    answer = MilvusException(7, "secret")
    answer.__cause__ = answer
    return answer


@pytest.mark.parametrize(
    ("raised", "words"),
    [
        (written(by_engine(OSError(errno.EMFILE, "Failed to open '/secret'"))), "a write failed: Too many open files. "),
        (written(by_engine(ValueError("secret"))), "a write failed: ValueError. "),
        (written(by_server()), "failed with Milvus error code 7 (delete). "),
        (OSError("secret"), "a write failed: OSError. "),
    ],
)
def test_a_store_that_takes_no_calls_names_the_error(access, raised, words):
    with pytest.raises(type(raised)), access.writing(1, 1):
        raise raised
    with pytest.raises(StoreUnavailable) as refused:
        access.check()
    assert words in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_store_whose_last_flush_fails_says_so_and_lets_go(tmp_path, flushes, caplog):
    """Its rows are in the log. Milvus Lite keeps such a failure to itself."""

    def fail():
        raise StoreUnavailable("the vector store has no space left on its disk (flush)")

    access = EmbeddedAccess(str(tmp_path / "full.db"), timeout_s=0.2)
    access.open()
    access.attach(flushes)
    flushes.then = fail
    folder = access._server.folder
    access.close(lambda: None)
    assert "writing its files failed" in caplog.text
    assert not folder.exists()

    again = EmbeddedAccess(str(tmp_path / "full.db"), timeout_s=0.2)
    again.open()
    again.close(lambda: None)


def test_a_collection_that_goes_while_a_write_is_on_is_never_flushed_again(access, flushes):
    """It is dropped next, and a flush that fails ends the whole store."""
    with access.writing(1, 100), ThreadPoolExecutor(1) as pool, pytest.raises(StoreUnavailable, match="busy"):
        pool.submit(access.detach, flushes).result()
    flushes.count = 0
    access.flush()
    assert flushes.count == 0


def test_who_comes_in_when_it_was_just_closed_is_told_so(tmp_path):
    """He had found it open. An assertion failed, which counted as a fault of ours."""
    access = EmbeddedAccess(str(tmp_path / "closed.db"), timeout_s=0.2)
    access.open()
    access.close(lambda: None)
    with pytest.raises(StoreUnavailable, match="closed"), access.searching(0.2):
        _ = access.rows
    with pytest.raises(StoreUnavailable, match="closed"), access.writing(1, 100):
        _ = access.rows


def test_who_waits_to_be_alone_goes_before_newcomers():
    lock = SharedLock()
    order = []
    with ThreadPoolExecutor(2) as pool:
        with lock.shared(1):
            alone = pool.submit(lambda: _enter(lock.alone(5), order, "alone"))
            while not lock._waiting:
                pass
            late = pool.submit(lambda: _enter(lock.shared(5), order, "late"))
            with pytest.raises(TimeoutError), lock.shared(0.05):
                pytest.fail("shared while somebody waits to be alone")
        alone.result()
        late.result()
    assert order == ["alone", "late"]


def _enter(lock, order, name):
    with lock:
        order.append(name)


def test_giving_up_on_being_alone_lets_others_in_again():
    lock = SharedLock()
    with lock.shared(1):
        with pytest.raises(TimeoutError), lock.alone(0.05):
            pytest.fail("alone beside a sharer")
        with lock.shared(0.05):
            pass


def test_messages_stay_below_the_limit_of_milvus():
    large = [record(f"image {number}", metadata={"note": "ü" * 16_000}) for number in range(700)]
    rows = rows_of(large, [one.metadata for one in large], unit_vectors(700))
    parts = list(chunks(rows))
    assert [row for part, _ in parts for row in part] == rows
    assert len(parts) > 1
    assert all(size <= CHUNK_BYTES for _, size in parts)


def test_a_single_row_is_a_message_whatever_its_size():
    one = record("image", metadata={"note": "x" * (CHUNK_BYTES // 3)})
    assert [len(part) for part, _ in chunks(rows_of([one, replace(one, id="a" * 32)], [one.metadata] * 2, unit_vectors(2)))] == [
        1,
        1,
    ]


def test_hnsw_looks_at_as_many_candidates_as_are_wanted():
    assert VectorIndex(hnsw_ef=64).search(10, embedded=False)["params"] == {"ef": 64}
    assert VectorIndex(hnsw_ef=64).search(500, embedded=False)["params"] == {"ef": 500}


def test_ivf_flat_never_looks_into_more_clusters_than_there_are():
    index = VectorIndex(kind="IVF_FLAT", ivf_nlist=100, ivf_nprobe=20)
    assert index.search(50, embedded=False)["params"] == {"nprobe": 20}
    assert index.search(50, embedded=True)["params"] == {"nprobe": 50}
    assert index.search(500, embedded=True)["params"] == {"nprobe": 100}


@pytest.mark.parametrize(
    ("kind", "built", "searched"),
    [
        ("HNSW", {"M": 16, "efConstruction": 200}, {"ef": 64}),
        ("FLAT", {}, {}),
        ("IVF_FLAT", {"nlist": 1024}, {"nprobe": 16}),
        ("IVF_SQ8", {"nlist": 1024}, {"nprobe": 16}),
        ("IVF_PQ", {"nlist": 1024, "m": 32, "nbits": 8}, {"nprobe": 16}),
        ("SCANN", {"nlist": 1024}, {"nprobe": 16, "reorder_k": 300}),
        ("DISKANN", {}, {"search_list": 300}),
    ],
)
def test_each_index_has_its_own_parameters(kind, built, searched):
    index = VectorIndex(kind=kind)
    assert index.build == built
    window = 300 if kind in {"SCANN", "DISKANN"} else 10
    assert index.search(window, embedded=False) == {"metric_type": "COSINE", "params": searched}


def test_effort_replaces_the_parameter_of_the_search_alone():
    assert VectorIndex().with_effort(500).search(10, embedded=False)["params"] == {"ef": 500}
    assert VectorIndex(kind="SCANN").with_effort(7).search(10, embedded=False)["params"] == {"nprobe": 7, "reorder_k": 256}
    assert VectorIndex(kind="DISKANN").with_effort(7).search(10, embedded=False)["params"] == {"search_list": 10}
    flat = VectorIndex(kind="FLAT")
    assert flat.with_effort(7) == flat
    assert VectorIndex().with_effort(None) == VectorIndex()


@pytest.mark.parametrize("kind", ["IVF_PQ", "SCANN", "DISKANN"])
def test_what_milvus_lite_does_not_have_is_refused_by_name_with_what_it_has(kind):
    """It would accept the name, and fail in the background."""
    with pytest.raises(ConfigError, match=f"Milvus Lite has no {kind} index; it has HNSW, FLAT, IVF_FLAT and IVF_SQ8"):
        VectorIndex(kind=kind).check(512, embedded=True)
    VectorIndex(kind=kind).check(512, embedded=False)


def test_product_quantisation_into_uneven_parts_is_refused():
    with pytest.raises(ConfigError, match="ML_API_PQ_M: 48 parts do not divide the model's 512 dimensions evenly"):
        VectorIndex(kind="IVF_PQ", pq_m=48).check(512, embedded=False)


def test_neither_token_nor_password_is_shown():
    endpoint = MilvusEndpoint("https://user:secret@milvus.example:19530", token="secret")
    assert endpoint.address == "https://milvus.example:19530"
    assert "token" not in repr(endpoint)


class Rpc(grpc.RpcError):
    def __init__(self, code):
        self._code = code

    def code(self):
        return self._code


@pytest.mark.parametrize(
    ("error", "words", "reason"),
    [
        (MilvusException(2, "Fail connecting to server on 10.1.2.3:19530"), "cannot be reached", "unreachable"),
        (MilvusException(grpc.StatusCode.UNAVAILABLE, "token=secret"), "cannot be reached", "unreachable"),
        (Rpc(grpc.StatusCode.UNAVAILABLE), "cannot be reached", "unreachable"),
        (Rpc(grpc.StatusCode.DEADLINE_EXCEEDED), "did not answer within 7 s", "timeout"),
        (Rpc(grpc.StatusCode.UNAUTHENTICATED), "refuses our token", "refused"),
        (Rpc(grpc.StatusCode.RESOURCE_EXHAUSTED), "gRPC status RESOURCE_EXHAUSTED", "failed"),
        (MilvusException(106, "collection on recovering"), "Milvus error code 106", "failed"),
        (ValueError("Cannot invoke RPC on closed channel!"), "is closed", "closed"),
    ],
)
def test_what_milvus_raises_becomes_store_unavailable_without_its_words(error, words, reason):
    with pytest.raises(StoreUnavailable, match=words) as raised, translated("search", 7):
        raise error
    assert raised.value.__cause__ is error
    assert raised.value.reason == reason
    assert not {"secret", "10.1.2.3"} & set(raised.value.detail.replace("=", " ").replace(":", " ").split())


def test_a_mistake_of_ours_is_not_called_an_outage():
    with pytest.raises(ValueError, match="ours"), translated("search", 7):
        raise ValueError("ours")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MilvusException(800, "database not found"), "ML_API_MILVUS_DATABASE"),
        (MilvusException(1800, "auth check failure"), "ML_API_MILVUS_TOKEN"),
        (Rpc(grpc.StatusCode.UNAUTHENTICATED), "ML_API_MILVUS_TOKEN"),
    ],
)
def test_what_only_a_setting_can_mend_is_a_configuration_error(error, words):
    with pytest.raises(ConfigError, match=words), startup_failures(MilvusEndpoint("http://milvus:19530", "secret"), 7):
        raise error
