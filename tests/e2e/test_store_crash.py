"""What the vector store keeps when processes die, fork and race, and what it says while a server is away."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from ml_api.deadline import Deadline
from ml_api.errors import ConfigError, DeadlineExceeded, StoreUnavailable
from ml_api.metrics import Metrics
from ml_api.records import image_id
from ml_api.vectors.base import SearchOptions
from ml_api.vectors.coalescing import CoalescingStore
from ml_api.vectors.milvus import MilvusEndpoint, MilvusStore, VectorIndex
from tests.contracts.samples import DIM, MODEL, axis, gallery, unit_vectors
from tests.servers.milvus import MilvusServer

ROOT = Path(__file__).parent.parent.parent


@contextmanager
def store_process(folder, program):
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.e2e.store_process", folder, program],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def lines(process):
    return [json.loads(line) for line in process.stdout if line.endswith("\n")]


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path / "not yet there" / "vectors.db")


@contextmanager
def reopened(folder):
    with closing(MilvusStore(MilvusEndpoint(folder), "images", VectorIndex(), Metrics())) as store:
        store.ensure(MODEL, DIM)
        yield store


class Ledger:
    """What must be stored, must not be, and may be: what the process was doing when it died."""

    def __init__(self):
        self.stored = set()
        self.unknown = set()

    def read(self, said):
        for line in said:
            keys = set(line["keys"])
            match line["what"]:
                case "putting" | "deleting":
                    self.unknown |= keys
                case "put":
                    self.stored |= keys
                    self.unknown -= keys
                case "deleted":
                    self.stored -= keys
                    self.unknown -= keys
        self.stored -= self.unknown

    def check(self, store):
        found = {entry.key for entry in store.entries()}
        assert found - self.unknown == self.stored
        # What the dying process left open is settled by now.
        self.stored, self.unknown = found, set()


@pytest.mark.parametrize("program", ["write_forever", "write_and_move_forever"])
def test_no_acknowledged_write_is_lost_to_kill_9(folder, program):
    chance = random.Random(1)
    ledger = Ledger()
    for _ in range(4):
        with store_process(folder, program) as process:
            said = [json.loads(process.stdout.readline()) for _ in range(chance.randrange(40, 160))]
            process.kill()
            ledger.read(said + lines(process))
        with reopened(folder) as store:
            ledger.check(store)
            assert store.count() == len(ledger.stored)
            key = min(ledger.stored)
            batch, number = map(int, key.split()[1:])
            [[hit]] = store.search(unit_vectors(40, seed=batch)[[number]], SearchOptions(1))
            assert hit.score == pytest.approx(1)


def test_a_forked_child_is_refused_and_its_exit_loses_nothing(folder):
    with store_process(folder, "fork_and_die") as process:
        said = lines(process)
        assert process.wait(timeout=60) == -signal.SIGKILL
    refusals = [line["detail"] for line in said if line["what"] == "refused"]
    assert len(refusals) == 4
    assert all(f"opened by process {process.pid}" in detail for detail in refusals)
    assert [line["status"] for line in said if line["what"] == "child"] == [0]
    put = {key for line in said if line["what"] == "put" for key in line["keys"]}
    with reopened(folder) as store:
        assert {entry.key for entry in store.entries()} == put
        assert len(put) == 80


@pytest.mark.parametrize(("program", "attempted"), [("fail_to_flush", "flush"), ("run_out_of_disk", "put")])
def test_after_a_failed_write_everything_is_refused_until_all_was_read_again_and_nothing_is_lost(folder, program, attempted):
    """The log may end in half a record, and the next flush would delete it."""
    with store_process(folder, program) as process:
        said = lines(process)
        assert process.wait(timeout=60) == 0, "it must be able to exit"
    refused = [line for line in said if line["what"] == "refused"]
    assert [line["attempt"] for line in refused] == [attempted, "count", "upsert", "delete", "flush"]
    assert all("takes no calls" in line["detail"] for line in refused[1:])
    put = {key for line in said if line["what"] == "put" for key in line["keys"]}
    tried = {key for line in said if line["what"] == "putting" for key in line["keys"]}
    [found_again] = [set(line["keys"]) for line in said if line["what"] == "found"]
    assert put <= found_again <= tried
    with reopened(folder) as store:
        found = {entry.key for entry in store.entries()}
        assert found_again <= found <= tried
        store.upsert(*gallery(1))
        store.flush()
        store.ping()


def test_a_second_process_is_told_who_has_the_folder(folder):
    with store_process(folder, "hold") as process:
        process.stdout.readline()
        with pytest.raises(ConfigError, match=f"in use by process {process.pid}.*ML_API_MILVUS_URI=http"), reopened(folder):
            pass
        process.stdin.close()
        assert process.wait(timeout=60) == 0
    with reopened(folder) as store:
        assert store.count() == 40


def test_a_program_that_outlives_its_parent_does_not_keep_the_folder(folder):
    with store_process(folder, "outlived_by_a_program") as process:
        assert process.wait(timeout=60) == -signal.SIGKILL
        with reopened(folder) as store:
            assert store.count() == 40


def test_a_file_of_the_old_milvus_lite_is_a_clear_error(tmp_path):
    old = tmp_path / "vectors.db"
    old.write_bytes(b"SQLite format 3")
    with pytest.raises(ConfigError, match=r"Milvus Lite 2.*sync again"), reopened(str(old)):
        pass


def test_two_stores_in_one_process_cannot_share_a_folder(folder):
    with reopened(folder), pytest.raises(ConfigError, match=f"in use by process {os.getpid()}"), reopened(folder):
        pass


@contextmanager
def running(folder, lease_s):
    server = MilvusServer(folder, lease_s)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """May be hung as long as a test lasts, on a slow machine too; answers again after each."""
    with running(tmp_path_factory.mktemp("milvus"), lease_s=120) as server:
        yield server


@pytest.fixture
def mortal_server(tmp_path):
    """Starts again soon after it was killed."""
    with running(tmp_path / "milvus", lease_s=10) as server:
        yield server


@contextmanager
def store_on(server, timeout_s, metrics=None, collection="images"):
    with closing(MilvusStore(MilvusEndpoint(server.uri), collection, VectorIndex(), metrics or Metrics(), timeout_s)) as store:
        store.ensure(MODEL, DIM)
        yield store


def until_it_works(call, seconds=60):
    deadline = time.monotonic() + seconds
    while True:
        try:
            return call()
        except StoreUnavailable:
            assert time.monotonic() < deadline, f"still unavailable after {seconds} s"


def calls_of(store):
    one = image_id("one")
    return (
        store.ping,
        store.count,
        lambda: store.search(axis(0), SearchOptions(1)),
        lambda: store.get([one]),
        lambda: store.vectors([one]),
        lambda: list(store.entries()),
        lambda: store.upsert(*gallery(1)),
        lambda: store.delete([one]),
    )


def test_a_server_that_dies_is_reported_at_once_and_used_again_when_it_is_back(mortal_server):
    records, vectors = gallery(300)
    with store_on(mortal_server, timeout_s=30, metrics=(metrics := Metrics())) as store:
        store.upsert(records, vectors)
        mortal_server.kill()
        started = time.monotonic()
        for call in calls_of(store):
            with pytest.raises(StoreUnavailable, match="cannot be reached"):
                call()
        searches = {"backend": "milvus", "operation": "search"}
        assert metrics.registry.get_sample_value("ml_api_store_errors_total", searches | {"reason": "unreachable"}) == 1
        assert metrics.registry.get_sample_value("ml_api_store_duration_seconds_count", searches | {"outcome": "error"}) == 1
        assert time.monotonic() - started < 20, "a refused connection is known at once"
        mortal_server.start()
        until_it_works(store.ping)
        assert until_it_works(store.count) == 300
        assert len(list(store.entries())) == 300
        [[hit]] = store.search(vectors[:1], SearchOptions(1))
        assert hit.record == records[0]
        store.upsert(*gallery(301))
        assert store.count() == 301


def test_a_server_that_hangs_is_reported_at_the_timeout_and_used_again_when_it_answers(server):
    with store_on(server, timeout_s=1, collection="hangs") as store:
        store.upsert(*gallery(1))
        server.pause()
        try:
            for call in calls_of(store):
                started = time.monotonic()
                with pytest.raises(StoreUnavailable, match="did not answer within 1 s"):
                    call()
                assert time.monotonic() - started < 5
        finally:
            server.resume()
        assert until_it_works(store.count) == 1


def test_a_caller_leaves_a_hung_server_at_its_own_deadline(server):
    [stored], vectors = gallery(1)
    with store_on(server, timeout_s=30, collection="left") as store:
        store.upsert([stored], vectors)
        shared = CoalescingStore(store, Metrics(), timeout_s=30)
        shared.ensure(MODEL, DIM)
        server.pause()
        try:
            for call in (
                lambda deadline: store.search(vectors, SearchOptions(1), deadline=deadline),
                lambda deadline: store.get([stored.id], deadline),
                lambda deadline: store.vectors([stored.id], deadline),
                store.count,
                lambda deadline: shared.search(vectors, SearchOptions(1), deadline=deadline),
            ):
                started = time.monotonic()
                with pytest.raises(DeadlineExceeded, match=r"within 0\.5 s"):
                    call(Deadline.within(0.5))
                assert 0.4 < time.monotonic() - started < 10, "not the store's own 30 s"
        finally:
            server.resume()
        assert until_it_works(store.count) == 1
        assert shared.search(vectors, SearchOptions(1))[0][0].record == stored


def test_a_hung_server_holds_no_thread_longer_than_the_timeout(server):
    """Until gRPC's keep-alive has given the connection up: pymilvus would then reconnect for each thread, one after the other."""

    def searches_until_disconnected(_):
        longest, deadline = 0.0, time.monotonic() + 150
        while time.monotonic() < deadline:
            started = time.monotonic()
            with pytest.raises(StoreUnavailable) as raised:
                store.search(axis(0), SearchOptions(1))
            longest = max(longest, time.monotonic() - started)
            if "cannot be reached" in str(raised.value):
                return longest
        pytest.fail("the connection was never given up")

    with store_on(server, timeout_s=2, collection="held") as store, ThreadPoolExecutor(16) as pool:
        server.pause()
        try:
            assert max(pool.map(searches_until_disconnected, range(16))) < 15, "it was 94 s with pymilvus's own reconnecting"
        finally:
            server.resume()


def test_opening_a_server_that_is_not_there_names_its_address_without_its_password():
    store = MilvusStore(MilvusEndpoint("http://user:secret@127.0.0.1:1"), "images", VectorIndex(), Metrics(), timeout_s=1)
    with pytest.raises(StoreUnavailable, match=r"http://127\.0\.0\.1:1: the vector store cannot be reached") as raised:
        store.ensure(MODEL, DIM)
    assert "secret" not in str(raised.value)
