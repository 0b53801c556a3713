"""Writes into Milvus Lite's log, its table in memory and its files, within this process.

They do what its server does with a message of rows, but for what takes the time: for gRPC nine fields of each row were packed one
by one, and each number of a vector was made a Python object and looked at, on the way in and once more on the way into a file. What
is checked there is checked before (`ml_api.vectors.validation`), and rows are whole: they keep nothing of those they replace.

Only one thread may write or flush at a time (`access`). Who reads meanwhile reads a view (`snapshots`).
"""

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import accumulate
from typing import Any
from weakref import proxy

import numpy as np
import pyarrow as pa
from milvus_lite.adapter.grpc.errors import to_status_kwargs
from milvus_lite.constants import ALL_PARTITIONS, DEFAULT_PARTITION
from milvus_lite.engine.operation import DeleteOp, InsertOp
from pymilvus import MilvusException

from ml_api.vectors.milvus.schema import VECTOR, Row

_log = logging.getLogger(__name__)


def upsert(engine: Any, rows: Sequence[Row]) -> None:
    """Durable against the death of the process when it returns. `engine` is Milvus Lite's collection, each id comes once. Never
    flushes (`flushing` decides that).

    Raises MilvusException.
    """
    with as_answered():
        first = engine._next_seq  # noqa: SLF001 - Milvus Lite is pinned, and the contract suite tests this
        batch = _batch(engine._wal_data_schema, rows, first)  # noqa: SLF001 - as above
        engine._next_seq = first + len(rows)  # noqa: SLF001 - as above
        engine._apply(InsertOp(DEFAULT_PARTITION, batch))  # noqa: SLF001 - as above


def delete(engine: Any, ids: Sequence[str]) -> None:
    """As `upsert`, of distinct ids; those that are not stored are ignored."""
    with as_answered():
        number = engine._next_seq  # noqa: SLF001 - as above
        batch = engine._build_wal_delta_batch(list(ids), ALL_PARTITIONS, number)  # noqa: SLF001 - as above
        engine._next_seq = number + 1  # noqa: SLF001 - as above
        engine._apply(DeleteOp(ALL_PARTITIONS, batch))  # noqa: SLF001 - as above


def flush(engine: Any) -> None:
    """Write what is in memory to a file. Raises MilvusException."""
    with as_answered(), _unscheduled(engine):
        memtable = engine._memtable  # noqa: SLF001 - as above; each flush puts a new one in its place
        # What is in memory becomes a file's table column by column, and not cell by cell.
        memtable._build_data_table = partial(_taken, proxy(memtable))  # noqa: SLF001 - as above
        engine.flush()


def maintain(engine: Any, then: Callable[[], None]) -> None:
    """Have files merged and indexed in the background, and then call `then`.

    If no thread can be started, as the program ends or the system has none left, it is done after the next flush or opening.
    """

    def work() -> None:
        engine._bg_compact_and_index()  # noqa: SLF001 - as above; it raises nothing
        then()

    try:
        engine._bg_executor.submit(work)  # noqa: SLF001 - as above
    except RuntimeError as exc:
        _log.warning("the rows are in a file, which is not indexed now: %s", exc)


def is_merging(engine: Any) -> bool:
    """Whether files of this collection are being merged, or rows moved to one."""
    if engine._maintenance_lock.acquire(blocking=False):  # noqa: SLF001 - as above
        engine._maintenance_lock.release()  # noqa: SLF001 - as above
        return False
    return True


def discard(database: Any, timeout_s: float) -> None:
    """Forget what is in memory and write nothing of it: the next call of a collection reads it from the disk, as after a restart.

    For after a write that failed; nobody else may be here. Files that are being merged in the background are waited for. Raises
    TimeoutError if that takes longer; then nothing is forgotten, nobody may be here still, and the same call may be made again.
    """
    until = time.perf_counter() + timeout_s
    engines = list(database._collections.values())  # noqa: SLF001 - as above
    for engine in engines:
        engine._bg_closed = True  # noqa: SLF001 - as above
        engine._bg_executor.shutdown(wait=False, cancel_futures=True)  # noqa: SLF001 - as above
        for thread in engine._bg_executor._threads:  # noqa: SLF001 - `shutdown` waits without a limit
            thread.join(max(0.0, until - time.perf_counter()))
            if thread.is_alive():
                raise TimeoutError
    for engine in engines:
        for log in (engine._wal._data_sink, engine._wal._delta_sink):  # noqa: SLF001 - as above
            if log is not None:
                log.raw.close()  # below its buffer, which may hold the rest of the record that failed
    database._collections.clear()  # noqa: SLF001 - as above


def _batch(columns: pa.Schema, rows: Sequence[Row], first: int) -> pa.RecordBatch:
    """With numbers from `first` on, by which Milvus Lite knows which of two rows of an id is the newer."""

    def column(field: pa.Field) -> pa.Array:
        match field.name:
            case "_seq":
                return pa.array(range(first, first + len(rows)), type=field.type)
            case "_partition":
                return pa.array([DEFAULT_PARTITION] * len(rows), type=field.type)
            case "metadata":
                return pa.array([json.dumps(row["metadata"], ensure_ascii=False) for row in rows], type=field.type)
            case name if name == VECTOR:
                # A copy: arrow would keep the caller's own array.
                return pa.FixedSizeListArray.from_arrays(np.stack([row[VECTOR] for row in rows]).ravel(), type=field.type)
            case name:
                return pa.array([row[name] for row in rows], type=field.type)

    return pa.RecordBatch.from_arrays([column(field) for field in columns], schema=columns)


def _taken(memtable: Any, places: Sequence[tuple[int, int]]) -> pa.Table:
    """The rows at these places, each the number of a batch and of a row in it."""
    batches = memtable._insert_batches  # noqa: SLF001 - as above
    starts = list(accumulate((batch.num_rows for batch in batches), initial=0))
    chosen = pa.array([starts[batch] + row for batch, row in places], type=pa.int64())
    return pa.Table.from_batches(batches).take(chosen).select(memtable._data_schema.names)  # noqa: SLF001 - as above


@contextmanager
def _unscheduled(engine: Any) -> Iterator[None]:
    """Without work in the background after a flush, for `maintain`: whether a thread for it can be started says nothing of what was
    written."""
    engine._schedule_bg_maintenance = lambda: None  # noqa: SLF001 - as above
    try:
        yield
    finally:
        del engine._schedule_bg_maintenance  # noqa: SLF001 - as above


@contextmanager
def as_answered() -> Iterator[None]:
    """What the engine raises as its server answers it, so that it is told in one way (`failures`)."""
    try:
        yield
    except Exception as exc:
        status = to_status_kwargs(exc)
        raise MilvusException(status["code"], status["reason"]) from exc
