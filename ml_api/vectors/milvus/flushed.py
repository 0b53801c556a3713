"""Searches by the indexes of Milvus Lite's files, within this process.

At every search Milvus Lite walks over all its rows twice in Python to find out which are current, as rows are written anew by an
upsert and stay in their old file until files are merged. That changes only when files or deletions do, and is worked out once here;
and neither vectors nor rows travel through gRPC. A search of 20,000 rows took 11 ms, most of them under Python's lock.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from milvus_lite.index.brute_force import BruteForceIndex

from ml_api.records import Vectors
from ml_api.vectors.base import Metric, SearchOptions
from ml_api.vectors.milvus.schema import RECORD_FIELDS, VECTOR, Row
from ml_api.vectors.scoring import Lengths, Scores, lengths, scores

MANY: Final = 4
"""More than one of so many rows."""
COPIED_AT_ONCE: Final = 4096

Mask = npt.NDArray[np.bool_]
Ranked = list[list[tuple[Row, float]]]
"""For each query rows, best first, with the engine's distances, which are smaller for what is closer, or with scores."""


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """Which rows of which files are current; a mask of None means all."""

    segments: tuple[Any, ...]
    deleted: Mapping[str, int]
    masks: tuple[Mask | None, ...]
    columns: tuple[dict[str, Any], ...]
    """The columns of each file, by the names of RECORD_FIELDS."""
    lengths: tuple[Lengths, ...]
    """The lengths of each file's vectors."""

    def is_of(self, segments: Sequence[Any], deleted: Mapping[str, int]) -> bool:
        return (
            len(segments) == len(self.segments)
            and all(one is other for one, other in zip(segments, self.segments, strict=True))
            and deleted == self.deleted
        )

    def row(self, place: int, row: int) -> Row:
        found = {name: column[row].as_py() for name, column in self.columns[place].items()}
        found["metadata"] = json.loads(found["metadata"])
        return found


class Flushed:
    """Thread-safe: a snapshot is replaced as a whole."""

    def __init__(self) -> None:
        self._snapshots: WeakKeyDictionary[Any, _Snapshot] = WeakKeyDictionary()
        """By collection. It holds the files' rows in memory, as Milvus Lite does itself: the next search lets go of old ones, and
        Milvus Lite of a collection that is dropped."""

    def nearest(
        self, engine: Any, vectors: Vectors, options: SearchOptions, metric: Metric, params: Mapping[str, int]
    ) -> Ranked | None:
        """What `options` name of the ranking of each vector; None if rows are in no file yet, which Milvus Lite finds itself."""
        snapshot = self._current(engine)
        if snapshot is None:
            return None
        ranked: list[list[tuple[float, int, int]]] = [[] for _ in vectors]
        for place, (segment, mask) in enumerate(zip(snapshot.segments, snapshot.masks, strict=True)):
            if mask is None or mask.any():
                index = segment.indexes.get(VECTOR)  # it may come later than its file
                if index is None:
                    index = BruteForceIndex.build(segment.vector_data(VECTOR)[0], metric)
                rows, distances = index.search(vectors, options.window, valid_mask=mask, params=dict(params))
                for best, near, far in zip(ranked, rows.tolist(), distances.tolist(), strict=True):
                    best += [(distance, place, row) for row, distance in zip(near, far, strict=True) if row >= 0]
        return [
            [(snapshot.row(place, row), distance) for distance, place, row in sorted(best)[options.offset : options.window]]
            for best in ranked
        ]

    def compared(
        self, engine: Any, vectors: Vectors, options: SearchOptions, metric: Metric, passing: Callable[[Any], Mask]
    ) -> Ranked | None:
        """What `options` name of the ranking of the rows that are `passing`, by file, with their scores; each is compared. None as
        of `nearest`.
        """
        snapshot = self._current(engine)
        if snapshot is None:
            return None
        ranked: list[list[tuple[float, int, int]]] = [[] for _ in vectors]
        for place, (segment, current) in enumerate(zip(snapshot.segments, snapshot.masks, strict=True)):
            mask = passing(segment)
            rows = np.flatnonzero(mask if current is None else mask & current)
            if rows.size:
                found = _scores(segment, snapshot.lengths[place], rows, vectors, metric)
                for best, row in zip(ranked, found, strict=True):
                    nearest = np.argpartition(-row, min(options.window, rows.size) - 1)[: options.window]
                    best += [(-float(row[one]), place, int(rows[one])) for one in nearest]
        return [
            [(snapshot.row(place, row), -worse) for worse, place, row in sorted(best)[options.offset : options.window]]
            for best in ranked
        ]

    def _current(self, engine: Any) -> _Snapshot | None:
        """None if rows are in no file yet."""
        engine._require_loaded()  # noqa: SLF001 - Milvus Lite is pinned, and the contract suite tests this
        if engine._memtable.size():  # noqa: SLF001 - as above
            return None
        segments, deleted = engine._read_snapshot()  # noqa: SLF001 - as above
        return self._snapshot(engine, [one for one in segments if one.num_rows], deleted._map)  # noqa: SLF001 - as above

    def _snapshot(self, engine: Any, segments: Sequence[Any], deleted: Mapping[str, int]) -> _Snapshot:
        known = self._snapshots.get(engine)
        if known is None or not known.is_of(segments, deleted):
            columns = tuple({name: segment.table.column(name) for name in RECORD_FIELDS} for segment in segments)
            of_stored = tuple(lengths(segment.vector_data(VECTOR)[0]) for segment in segments)
            known = self._snapshots[engine] = _Snapshot(tuple(segments), deleted, _masks(segments, deleted), columns, of_stored)
        return known


def _scores(segment: Any, of_stored: Lengths, rows: npt.NDArray[np.intp], vectors: Vectors, metric: Metric) -> Scores:
    """The scores of each vector with each of these rows. If they are many, all are compared: copying those takes longer."""
    stored = segment.vector_data(VECTOR)[0]
    if len(rows) > len(stored) // MANY:
        return scores(metric, vectors, stored, of_stored)[:, rows]
    some = (rows[start : start + COPIED_AT_ONCE] for start in range(0, len(rows), COPIED_AT_ONCE))
    return np.concatenate([scores(metric, vectors, stored[one], of_stored[one]) for one in some], axis=1)


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
