"""The rows of a Milvus Lite collection that fulfil a filter, found here by the filter's own predicate.

Milvus Lite evaluates an expression on metadata row by row too, but turns whole rows into Python objects before, vectors
included, and knows neither `in` for metadata nor all escapes. Here each field that filters ask for is read once from each file of
rows, which never changes, and kept; of the rows in memory, after each write.
"""

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from weakref import ref

import numpy as np

from ml_api.vectors.filters import All, Condition, Either, Field, Filter, Negation
from ml_api.vectors.filters.predicate import at, test_of
from ml_api.vectors.milvus.embedded.parts import Mask
from ml_api.vectors.validation import split_metadata

MAX_VALUES: Final = 2_000_000
"""Values of fields that are kept: some 20 fields of 100,000 images, 16 to 150 MB."""

MAX_MASK_BYTES: Final = 32 * 2**20
"""Masks that are kept have so many bytes, one for each row of their files: 320 of 100,000 images, 32 of a million."""

Column = Sequence[Any]


class Matching:
    """Thread-safe."""

    def __init__(self, max_mask_bytes: int = MAX_MASK_BYTES) -> None:
        self._max_mask_bytes = max_mask_bytes
        self._lock = threading.Lock()
        self._columns: OrderedDict[tuple[str, Field], tuple[ref[Any], Column]] = OrderedDict()
        """By file and field, the least recently used first; with the table that they were read from, as names may come again. Not
        holding it, as it has the vectors: of files that were merged and of collections that were dropped, nobody else needs it."""
        self._values = 0
        self._masks: OrderedDict[tuple[str, Filter], tuple[ref[Any], Mask]] = OrderedDict()
        """By file and filter, likewise."""
        self._mask_bytes = 0

    def mask(self, segment: Any, wanted: Filter) -> Mask:
        """Which of a file's rows, old ones included, fulfil the filter. Not to be changed: those of the last filters are kept, as
        people page and refine."""
        with self._lock:
            kept = self._masks.get((segment.file_path, wanted))
            if kept is not None and kept[0]() is segment.table:
                self._masks.move_to_end((segment.file_path, wanted))
                return kept[1]
        columns = self._read(segment.file_path, segment.table, sorted(_fields(wanted), key=lambda field: field.name))
        mask = _evaluated(wanted, columns, segment.num_rows)
        with self._lock:
            self._keep_mask((segment.file_path, wanted), (ref(segment.table), mask))
        return mask

    def _keep_mask(self, key: tuple[str, Filter], kept: tuple[ref[Any], Mask]) -> None:
        """Called with the lock."""
        if (replaced := self._masks.pop(key, None)) is not None:
            self._mask_bytes -= replaced[1].nbytes
        self._masks[key] = kept
        self._mask_bytes += kept[1].nbytes
        while self._mask_bytes > self._max_mask_bytes and len(self._masks) > 1:
            _, (_, dropped) = self._masks.popitem(last=False)
            self._mask_bytes -= dropped.nbytes

    def _read(self, path: str, table: Any, fields: Sequence[Field]) -> dict[Field, Column]:
        """Columns, from the cache or in one pass over the file's metadata."""
        found: dict[Field, Column] = {}
        with self._lock:
            for field in fields:
                kept = self._columns.get((path, field))
                if kept is not None and kept[0]() is table:
                    self._columns.move_to_end((path, field))
                    found[field] = kept[1]
        missing = [field for field in fields if field not in found]
        if missing:
            read = _columns(lambda name: table.column(name).to_pylist(), missing)
            self._keep(path, table, read)
            found |= read
        return found

    def _keep(self, path: str, table: Any, columns: Mapping[Field, Column]) -> None:
        with self._lock:
            for field, column in columns.items():
                _, replaced = self._columns.pop((path, field), (None, ()))
                self._columns[path, field] = ref(table), column
                self._values += len(column) - len(replaced)
            while self._values > MAX_VALUES and len(self._columns) > 1:
                _, (_, dropped) = self._columns.popitem(last=False)
                self._values -= len(dropped)


def _evaluated(wanted: Filter, columns: Mapping[Field, Column], rows: int) -> Mask:
    match wanted:
        case Condition(field):
            return np.fromiter(map(test_of(wanted), columns[field]), dtype=np.bool_, count=rows)
        case All(parts):
            return np.asarray(np.all([_evaluated(part, columns, rows) for part in parts], axis=0), dtype=np.bool_)
        case Either(parts):
            return np.asarray(np.any([_evaluated(part, columns, rows) for part in parts], axis=0), dtype=np.bool_)
        case Negation(part):
            return ~_evaluated(part, columns, rows)


def _fields(wanted: Filter) -> set[Field]:
    match wanted:
        case Condition(field):
            return {field}
        case All(parts) | Either(parts):
            return set().union(*map(_fields, parts))
        case Negation(part):
            return _fields(part)


def _columns(stored: Callable[[str], Column], fields: Sequence[Field]) -> dict[Field, Column]:
    """From the columns that are `stored`. Equal texts are one object: most fields hold few different ones."""
    columns = {field: stored(field.built_in) for field in fields if field.built_in is not None}
    inside = [field for field in fields if field.built_in is None]
    if inside:
        known: dict[str, str] = {}
        gathered: list[list[Any]] = [[] for _ in inside]
        for text in stored("metadata"):
            metadata, _ = split_metadata(json.loads(text))
            for column, field in zip(gathered, inside, strict=True):
                value = at(metadata, field.path)
                column.append(known.setdefault(value, value) if isinstance(value, str) else value)
        columns |= dict(zip(inside, gathered, strict=True))
    return columns
