"""A process that owns a Milvus Lite store, for tests to kill, fork and race: `python store_process.py FOLDER.db PROGRAM`.

It says what it is about to do and what is done, one JSON line each: only what was said to be done must survive.
"""

import json
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path

from ml_api.errors import MlApiError
from ml_api.metrics import Metrics
from ml_api.vectors.base import SearchOptions
from ml_api.vectors.milvus import MilvusEndpoint, MilvusStore, VectorIndex
from tests.contracts.samples import DIM, MODEL, record, unit_vectors

BATCH = 40


def say(what: str, **facts: object) -> None:
    sys.stdout.write(json.dumps({"what": what, **facts}) + "\n")
    sys.stdout.flush()


def put(store: MilvusStore, batch: int) -> None:
    keys = [f"{os.getpid()} {batch} {number}" for number in range(BATCH)]
    say("putting", keys=keys)
    store.upsert([record(key) for key in keys], unit_vectors(BATCH, seed=batch))
    say("put", keys=keys)


def put_and_delete(store: MilvusStore, batch: int) -> None:
    """A batch goes in, and a third of it goes out again."""
    put(store, batch)
    keys = [f"{os.getpid()} {batch} {number}" for number in range(0, BATCH, 3)]
    say("deleting", keys=keys)
    store.delete([record(key).id for key in keys])
    say("deleted", keys=keys)


def write_forever(store: MilvusStore) -> None:
    """Until killed."""
    for batch in count():
        put_and_delete(store, batch)


def write_and_move_forever(store: MilvusStore) -> None:
    """As `write_forever`, into many files, which are merged, beside searches."""

    def search() -> None:
        while True:
            store.search(unit_vectors(1), SearchOptions(BATCH, exact=True))

    threading.Thread(target=search, daemon=True).start()
    for batch in count():
        put_and_delete(store, batch)
        if batch % 3 == 0:
            store.flush()


def fork_and_die(store: MilvusStore) -> None:
    """A child tries the store, closes it and exits in the normal way; its parent writes on and dies without closing."""
    put(store, 0)
    child = os.fork()
    if child == 0:
        for attempt in (store.count, store.ping, store.flush, lambda: put(store, 1)):
            try:
                attempt()
            except MlApiError as exc:
                say("refused", detail=exc.detail)
        store.close()
        sys.exit(0)
    _, status = os.waitpid(child, 0)
    say("child", status=os.waitstatus_to_exitcode(status))
    put(store, 2)
    os.kill(os.getpid(), 9)


def outlived_by_a_program(store: MilvusStore) -> None:
    """A program that was started here lives on, waiting for its input to end, after its parent was killed."""
    put(store, 0)
    subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], close_fds=False)
    os.kill(os.getpid(), 9)


def hold(store: MilvusStore) -> None:
    """Keep the store open until the input ends."""
    put(store, 0)
    sys.stdin.read()


def attempt(what: str, call: Callable[[], None]) -> None:
    try:
        call()
    except MlApiError as exc:
        say("refused", attempt=what, detail=exc.detail)
    else:
        say("done", attempt=what)


def fail_to_flush(store: MilvusStore) -> None:
    """Where Milvus Lite wants to write its files there is a file in the way for a while."""
    put(store, 0)
    [collection] = (Path(sys.argv[1]) / "collections").iterdir()
    in_the_way = collection / "partitions" / "_default"
    aside = in_the_way.rename(in_the_way.with_name("aside")) if in_the_way.exists() else None
    in_the_way.parent.mkdir(exist_ok=True)
    in_the_way.touch()
    attempt("flush", store.flush)
    refuse_everything(store)
    in_the_way.unlink()
    if aside is not None:
        aside.rename(in_the_way)
    come_back(store)


def run_out_of_disk(store: MilvusStore) -> None:
    """No file may grow beyond a limit, as on a full disk; then there is space again."""
    put(store, 0)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, hard))
    batches = count(1)
    try:
        while True:
            put(store, next(batches))
    except MlApiError as exc:
        say("refused", attempt="put", detail=exc.detail)
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    refuse_everything(store)
    come_back(store)


def refuse_everything(store: MilvusStore) -> None:
    attempt("count", store.count)
    attempt("upsert", lambda: put(store, 1000))
    attempt("delete", lambda: store.delete(["0" * 32]))
    attempt("flush", store.flush)


def come_back(store: MilvusStore) -> None:
    """As the health checks of a service see to."""
    store.ping()
    put(store, 1001)
    say("found", keys=[entry.key for entry in store.entries()])


PROGRAMS: dict[str, Callable[[MilvusStore], None]] = {
    program.__name__: program
    for program in (
        write_forever,
        write_and_move_forever,
        fork_and_die,
        outlived_by_a_program,
        hold,
        fail_to_flush,
        run_out_of_disk,
    )
}


def main() -> None:
    uri, program = sys.argv[1:]
    store = MilvusStore(MilvusEndpoint(uri), "images", VectorIndex(), Metrics())
    store.ensure(MODEL, DIM)
    PROGRAMS[program](store)
    store.close()


if __name__ == "__main__":
    main()
