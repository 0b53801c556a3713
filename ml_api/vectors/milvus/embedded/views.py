"""All current rows of a collection, for `server`: those in files, and those in the table in memory that takes the writes.

An upsert writes a new row and leaves the old one in place until files are merged; a deletion is recorded separately. At every
search Milvus Lite iterates over all rows twice in Python to find out which are current. Here the result is cached, and read anew
only for rows in memory, after a write.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from milvus_lite.constants import DEFAULT_PARTITION
from milvus_lite.storage.segment import Segment

from ml_api.vectors.milvus.embedded.ordered import Order
from ml_api.vectors.milvus.embedded.parts import Part, Parts
from ml_api.vectors.milvus.schema import Row


@dataclass(slots=True)
class _Read:
    """What was read when so many writes had been made."""

    writes: tuple[int, int]
    parts: Parts
    order: Order | None = None
    """Made at the first call of `in_order`."""


class View:
    """Thread-safe, beside a writer too. What is moved meanwhile, from memory to a file or to a larger file, stays in view."""

    def __init__(self, files: Parts, memtable: Any) -> None:
        """`memtable` is Milvus Lite's table in memory, which was in use while there were these `files`."""
        self.files = files
        self.memtable = memtable
        self._reading = threading.Lock()
        self._read: _Read | None = None

    def parts(self) -> Parts:
        """All current rows."""
        return self._now().parts

    def in_order(self) -> Order:
        """The current rows in the order of their ids."""
        now = self._now()
        order = now.order = now.order or Order(now.parts)
        return order

    def of_ids(self, ids: Sequence[str], fields: Sequence[str]) -> list[Row]:
        """Return the rows with these ids, in no order.

        Of the rows in memory only these are read: who writes looks rows up before each batch, and `parts` would read all of them
        anew.
        """
        memory = self.memtable
        with memory._lock:  # noqa: SLF001 - Milvus Lite is pinned, and the contract suite tests this
            fresh = {id_: memory._pk_index[id_][:2] for id_ in ids if id_ in memory._pk_index}  # noqa: SLF001 - as above
            settled = [id_ for id_ in ids if id_ not in fresh and id_ not in memory._delete_index]  # noqa: SLF001 - as above
            table = memory._build_data_table(list(fresh.values())) if fresh else None  # noqa: SLF001 - as above
        found = [row for part in self.files for row in part.rows(part.having_ids(settled), fields)] if settled else []
        if table is not None:
            found += Part.of(_in_memory(table), None).rows(np.arange(table.num_rows), fields)
        return found

    def count(self) -> int:
        """Count the current rows, without reading those in memory."""
        with self.memtable._lock:  # noqa: SLF001 - as above
            fresh, gone = list(self.memtable._pk_index), list(self.memtable._delete_index)  # noqa: SLF001 - as above
        return len(fresh) + sum(part.without([*fresh, *gone]).count for part in self.files)

    def _now(self) -> _Read:
        with self._reading:  # who waits here finds what the one before has read
            read = self._read
            if read is None or read.writes != self._writes():
                read = self._read = self._read_anew()
            return read

    def _read_anew(self) -> _Read:
        with self.memtable._lock:  # noqa: SLF001 - as above
            writes = self._writes()
            table, gone = self.memtable.to_arrow_table(), list(self.memtable._delete_index)  # noqa: SLF001 - as above
        if not table.num_rows and not gone:
            return _Read(writes, self.files)
        fresh = _in_memory(table)
        parts = tuple(part.without([*fresh.pks, *gone]) for part in self.files)
        return _Read(writes, (*parts, Part.of(fresh, None)) if table.num_rows else parts)

    def _writes(self) -> tuple[int, int]:
        """Two counts, of which each write changes one: batches of inserted rows, and deleted ids."""
        with self.memtable._lock:  # noqa: SLF001 - as above
            return len(self.memtable._insert_batches), len(self.memtable._delete_index)  # noqa: SLF001 - as above


def _in_memory(table: Any) -> Segment:
    """The rows in memory as a segment without an index."""
    ids, seqs = (table.column(name).to_pylist() for name in ("id", "_seq"))
    nothing = np.zeros((len(ids), 0), dtype=np.float32)  # it reads the vectors from the table itself
    return Segment("", DEFAULT_PARTITION, "id", "", ids, np.asarray(seqs, dtype=np.uint64), nothing, table)
