"""Finds out which rows of a Milvus Lite collection are current, in its files and in memory, for `lite`.

An upsert writes a new row and leaves the old one in place until files are merged; a deletion is recorded separately. At every
search Milvus Lite iterates over all rows twice in Python to find out which are current. Here the result is cached: for files it
changes only when files or deletions do, and after a write only for the rows that were written.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self
from weakref import WeakKeyDictionary, ref

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from milvus_lite.constants import DEFAULT_PARTITION
from milvus_lite.storage.segment import Segment

from ml_api.vectors.milvus.access import PageQuery
from ml_api.vectors.milvus.schema import VECTOR, Row
from ml_api.vectors.scoring import Lengths, lengths

FEW: Final = 8
"""Fewer rows than this are read cell by cell: Arrow takes 40 µs of a core for one row, 85 for 250, and 3 for each row so."""

Mask = npt.NDArray[np.bool_]
Passing = Callable[[Any], Mask]
"""Returns the mask of a segment's rows, including old ones, that fulfil a filter."""


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of a file, or those in memory."""

    segment: Any
    """Milvus Lite's segment."""
    current: Mask | None
    """Which rows are current; None means all."""
    lengths: Lengths
    """The lengths of the vectors."""

    @classmethod
    def of(cls, segment: Any, current: Mask | None) -> Self:
        return cls(segment, current, lengths(segment.vector_data(VECTOR)[0]))

    def without(self, ids: Iterable[str]) -> "Part":
        """The part after the rows of these ids were replaced or deleted."""
        rows = [row for row in map(self.segment.pk_to_row.get, ids) if row is not None]
        if not rows:
            return self
        current = np.ones(self.segment.num_rows, np.bool_) if self.current is None else self.current.copy()
        current[rows] = False
        return replace(self, current=current)

    @property
    def count(self) -> int:
        """The number of current rows."""
        return int(self.segment.num_rows if self.current is None else np.count_nonzero(self.current))

    def among(self, mask: Mask | None) -> npt.NDArray[np.intp]:
        """The numbers of the current rows in `mask`; of all current rows if it is None."""
        masks = [rows for rows in (mask, self.current) if rows is not None]
        return np.flatnonzero(np.all(masks, axis=0)) if masks else np.arange(self.segment.num_rows)

    def having_ids(self, ids: Iterable[str]) -> npt.NDArray[np.intp]:
        """The numbers of the current rows with these ids."""
        rows = np.array([row for row in map(self.segment.pk_to_row.get, ids) if row is not None], dtype=np.intp)
        return rows if self.current is None else rows[self.current[rows]]

    def rows(self, numbers: npt.NDArray[np.intp], fields: Sequence[str]) -> list[Row]:
        """Read rows by their numbers, in this order, with these fields."""
        columns = self.columns(numbers, fields)
        return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]

    def columns(self, numbers: npt.NDArray[np.intp], fields: Sequence[str]) -> dict[str, Sequence[Any]]:
        """Read rows by their numbers, as columns in this order."""
        cells = self._cells([name for name in fields if name != VECTOR], numbers)
        if "metadata" in cells:
            cells["metadata"] = json.loads(f"[{','.join(cells['metadata'])}]")
        if VECTOR in fields:
            cells[VECTOR] = self.segment.vector_data(VECTOR)[0][numbers]
        return cells

    def _cells(self, fields: Sequence[str], numbers: npt.NDArray[np.intp]) -> dict[str, Any]:
        read = self.segment.table.select(fields)
        if len(numbers) < FEW:
            rows = numbers.tolist()
            return {name: [column[row].as_py() for row in rows] for name, column in zip(fields, read.columns, strict=True)}
        whole: dict[str, Any] = read.take(numbers).to_pydict()
        return whole


def having(segment: Any, name: str, values: Sequence[str]) -> Mask:
    """The mask of a segment's rows, including old ones, that have one of `values` in the field `name`."""
    mask = pc.is_in(segment.table.column(name), pa.array(values, pa.string()))
    return np.asarray(mask.to_numpy(), dtype=np.bool_)


Parts = tuple[Part, ...]


class Order:
    """The current rows in the order of their ids; Milvus Lite itself would read all rows, with their vectors, for each page."""

    def __init__(self, parts: Parts) -> None:
        chosen = [part.among(None) for part in parts]
        ids = [part.segment.pks[row] for part, rows in zip(parts, chosen, strict=True) for row in rows.tolist()]
        keys = np.array(ids, dtype="S32")
        order = np.argsort(keys)
        self._parts = parts
        self._ids = keys[order]
        self._places = np.repeat(np.arange(len(parts)), [len(rows) for rows in chosen])[order]
        self._rows = np.concatenate([np.arange(0), *chosen])[order]

    def page(self, after: str, asked: PageQuery, passing: Passing | None) -> list[Row]:
        """Return the rows of the page with the smallest ids above `after`, of those that are `passing`."""
        start = int(np.searchsorted(self._ids, after.encode(), side="right"))
        end = int(np.searchsorted(self._ids, asked.until.encode(), side="right")) if asked.until else len(self._ids)
        if passing is None:
            chosen = np.arange(start, min(end, start + asked.limit))
        else:
            chosen = start + np.flatnonzero(self._mask(passing)[start:end])[: asked.limit]
        places, rows = self._places[chosen], self._rows[chosen]
        by_spot: dict[int, Row] = {}
        for place in np.unique(places).tolist():
            spots = np.flatnonzero(places == place)
            by_spot |= zip(spots.tolist(), self._parts[place].rows(rows[spots], asked.fields), strict=True)
        return [by_spot[spot] for spot in range(len(places))]

    def _mask(self, passing: Passing) -> Mask:
        mask = np.empty(len(self._ids), np.bool_)
        for place, part in enumerate(self._parts):
            spots = np.flatnonzero(self._places == place)
            mask[spots] = passing(part.segment)[self._rows[spots]]
        return mask


@dataclass(frozen=True, slots=True)
class _Files:
    parts: Parts
    deleted: Mapping[str, int]

    def is_of(self, segments: Sequence[Any], deleted: Mapping[str, int]) -> bool:
        return (
            len(segments) == len(self.parts)
            and all(segment is part.segment for segment, part in zip(segments, self.parts, strict=True))
            and deleted == self.deleted
        )


@dataclass(slots=True)
class _Whole:
    parts: Parts
    files: _Files
    memtable: "ref[Any]"
    writes: tuple[int, int]
    order: Order | None = None
    """Cached at the first call of `in_order`."""


class Snapshots:
    """Caches the current rows of collections. Thread-safe, as a snapshot is replaced as a whole.

    Snapshots keep the rows of files in memory, as Milvus Lite itself does. An old snapshot is released at the next search, that of
    a dropped collection with Milvus Lite's own collection.
    """

    def __init__(self) -> None:
        self._files: WeakKeyDictionary[Any, _Files] = WeakKeyDictionary()
        self._whole: WeakKeyDictionary[Any, _Whole] = WeakKeyDictionary()

    def of(self, engine: Any) -> Parts:
        """Return all current rows of `engine`, Milvus Lite's collection. No flush may run meanwhile."""
        engine._require_loaded()  # noqa: SLF001 - Milvus Lite is pinned, and the contract suite tests this
        memtable = engine._memtable  # noqa: SLF001 - as above
        files = self._of_files(engine)
        known = self._whole.get(engine)
        with memtable._lock:  # noqa: SLF001 - as above
            writes = _writes(memtable)
            if known is not None and known.files is files and known.memtable() is memtable and known.writes == writes:
                return known.parts
            table, gone = memtable.to_arrow_table(), memtable.delete_index_snapshot()
        parts = files.parts
        if table.num_rows or gone:
            fresh = _in_memory(table)
            parts = tuple(part.without([*fresh.pks, *gone]) for part in parts)
            if table.num_rows:
                parts = (*parts, Part.of(fresh, None))
        self._whole[engine] = _Whole(parts, files, ref(memtable), writes)
        return parts

    def of_ids(self, engine: Any, ids: Sequence[str], fields: Sequence[str]) -> list[Row]:
        """Return the rows with these ids, in no order. No flush may run meanwhile.

        Of the rows in memory only these are read: who writes looks rows up before each batch, and `of` would read all of them anew.
        """
        engine._require_loaded()  # noqa: SLF001 - as above
        memtable = engine._memtable  # noqa: SLF001 - as above
        files = self._of_files(engine)
        with memtable._lock:  # noqa: SLF001 - as above
            fresh = {id_: memtable._pk_index[id_][:2] for id_ in ids if id_ in memtable._pk_index}  # noqa: SLF001 - as above
            settled = [id_ for id_ in ids if id_ not in fresh and id_ not in memtable._delete_index]  # noqa: SLF001 - as above
            table = memtable._build_data_table(list(fresh.values())) if fresh else None  # noqa: SLF001 - as above
        found = [row for part in files.parts for row in part.rows(part.having_ids(settled), fields)] if settled else []
        if table is not None:
            found += Part.of(_in_memory(table), None).rows(np.arange(table.num_rows), fields)
        return found

    def count(self, engine: Any) -> int:
        """Count the current rows, without reading those in memory."""
        memtable = engine._memtable  # noqa: SLF001 - as above
        files = self._of_files(engine)
        with memtable._lock:  # noqa: SLF001 - as above
            fresh, gone = list(memtable._pk_index), memtable.delete_index_snapshot()  # noqa: SLF001 - as above
        return len(fresh) + sum(part.without([*fresh, *gone]).count for part in files.parts)

    def in_order(self, engine: Any) -> Order:
        """Return the current rows in the order of their ids. No flush may run meanwhile."""
        self.of(engine)
        whole = self._whole[engine]
        order = whole.order = whole.order or Order(whole.parts)
        return order

    def _of_files(self, engine: Any) -> _Files:
        segments, tombstones = engine._read_snapshot()  # noqa: SLF001 - as above
        filled, deleted = [segment for segment in segments if segment.num_rows], tombstones._map  # noqa: SLF001 - as above
        known = self._files.get(engine)
        if known is None or not known.is_of(filled, deleted):
            parts = tuple(Part.of(segment, mask) for segment, mask in zip(filled, _masks(filled, deleted), strict=True))
            known = self._files[engine] = _Files(parts, deleted)
        return known


def _writes(memtable: Any) -> tuple[int, int]:
    """Two counts, of which each write changes one: batches of inserted rows, and deleted ids."""
    return len(memtable._insert_batches), len(memtable._delete_index)  # noqa: SLF001 - as above


def _in_memory(table: Any) -> Segment:
    """The rows in memory as a segment without an index."""
    ids, seqs = (table.column(name).to_pylist() for name in ("id", "_seq"))
    nothing = np.zeros((len(ids), 0), dtype=np.float32)  # it reads the vectors from the table itself
    return Segment("", DEFAULT_PARTITION, "id", "", ids, np.asarray(seqs, dtype=np.uint64), nothing, table)


def _masks(segments: Sequence[Any], deleted: Mapping[str, int]) -> tuple[Mask | None, ...]:
    newest: dict[str, int] = {}
    for segment in segments:
        for id_, seq in zip(segment.pks, segment.seqs.tolist(), strict=True):
            if seq > newest.get(id_, -1):
                newest[id_] = seq
    masks: list[Mask | None] = []
    for segment in segments:
        rows = zip(segment.pks, segment.seqs.tolist(), strict=True)
        mask = np.fromiter((newest[id_] == seq >= deleted.get(id_, -1) for id_, seq in rows), np.bool_, segment.num_rows)
        masks.append(None if mask.all() else mask)
    return tuple(masks)
