"""Implements VectorStore in memory, exactly: the reference of the tests, and the base of FileStore. Nothing outlives the
process."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ml_api.deadline import Deadline, held
from ml_api.errors import ConfigError, StoreUnavailable
from ml_api.records import Entry, Hit, ImageRecord, Vectors
from ml_api.vectors.base import MAX_WINDOW, MetricType, SearchOptions
from ml_api.vectors.filters import Filter, holds
from ml_api.vectors.scoring import scores
from ml_api.vectors.validation import (
    check_bounds,
    check_page,
    check_records,
    check_vectors,
    distinct_digests,
    distinct_ids,
    split_metadata,
)

SCANNED_AT_ONCE = 1000


class MemoryStore:
    """A VectorStore that compares a query with every vector it holds."""

    backend = "memory"

    def __init__(self, metric: MetricType = "COSINE") -> None:
        self._metric = metric
        self._lock = threading.Lock()
        self._exclusive = threading.Lock()
        self._model: tuple[str, int] | None = None
        self._records: dict[str, ImageRecord] = {}
        self._vectors: dict[str, npt.NDArray[np.float32]] = {}
        self._source = ""
        self._open = False

    def ensure(self, model_id: str, dim: int) -> None:
        with self._lock:
            if self._model not in (None, (model_id, dim)):
                raise ConfigError(f"the store holds vectors of {self._model}, not of {(model_id, dim)}")
            self._model = (model_id, dim)
            self._open = True

    def upsert(self, records: Sequence[ImageRecord], vectors: Vectors) -> None:
        metadata = check_records(records, vectors, self._dim)
        with self._lock:
            for record, stored, vector in zip(records, metadata, vectors, strict=True):
                plain, edited = split_metadata(stored)
                self._records[record.id] = replace(record, metadata=plain, edited=edited)
                self._vectors[record.id] = np.array(vector, dtype=np.float32)

    def exclusive(self, deadline: Deadline | None = None) -> AbstractContextManager[None]:
        return held(self._exclusive, deadline)

    def delete(self, ids: Sequence[str]) -> None:
        _ = self._dim
        distinct = distinct_ids(ids)
        with self._lock:
            for image_id in distinct:
                self._records.pop(image_id, None)
                self._vectors.pop(image_id, None)

    def search(self, vectors: Vectors, options: SearchOptions, deadline: Deadline | None = None) -> list[list[Hit]]:
        check_vectors(vectors, self._dim)
        _require_time(deadline)
        with self._lock:
            wanted = options.filter
            records = [record for record in self._records.values() if wanted is None or holds(wanted, record)]
            if not records:
                return [[] for _ in vectors]
            scored = scores(self._metric, vectors, np.stack([self._vectors[record.id] for record in records]))
        order = np.argsort(-scored, axis=1, kind="stable")[:, options.offset : options.window]
        return [[Hit(records[place], float(row[place])) for place in places] for row, places in zip(scored, order, strict=True)]

    def compares_all(self, options: SearchOptions) -> bool:  # noqa: ARG002 - VectorStore's signature
        return True

    def get(self, ids: Sequence[str], deadline: Deadline | None = None) -> dict[str, ImageRecord]:
        _ = self._dim
        _require_time(deadline)
        distinct = distinct_ids(ids)
        with self._lock:
            return {image_id: self._records[image_id] for image_id in distinct if image_id in self._records}

    def vectors(self, ids: Sequence[str], deadline: Deadline | None = None) -> dict[str, npt.NDArray[np.float32]]:
        _ = self._dim
        _require_time(deadline)
        distinct = distinct_ids(ids)
        with self._lock:
            return {image_id: self._vectors[image_id].copy() for image_id in distinct if image_id in self._vectors}

    def entries(self, after: str = "", until: str = "") -> Iterator[Entry]:
        yield from self._between(after, until)

    def page(self, after: str, limit: int, deadline: Deadline | None = None, *, filter: Filter | None = None) -> list[Entry]:  # noqa: A002 - VectorStore's signature
        check_page(limit)
        _require_time(deadline)
        return self._between(after, "", filter)[:limit]

    def _between(self, after: str, until: str, wanted: Filter | None = None) -> list[Entry]:
        _ = self._dim
        check_bounds(after, until)
        with self._lock:
            records = [record for id_, record in self._records.items() if after < id_ and (id_ <= until or not until)]
        chosen = (record for record in records if wanted is None or holds(wanted, record))
        return [record.entry for record in sorted(chosen, key=lambda record: record.id)]

    def of_digests(self, digests: Sequence[str], deadline: Deadline | None = None) -> list[Entry]:
        _ = self._dim
        _require_time(deadline)
        wanted = set(distinct_digests(digests))
        return [entry for entry in self._between("", "") if entry.digest in wanted][:MAX_WINDOW]

    def scan(self, after: str = "") -> Iterator[tuple[list[ImageRecord], Vectors]]:
        _ = self._dim
        with self._lock:
            ids = sorted(image_id for image_id in self._records if image_id > after)
            rows = [(self._records[image_id], self._vectors[image_id]) for image_id in ids]
        for start in range(0, len(rows), SCANNED_AT_ONCE):
            batch = rows[start : start + SCANNED_AT_ONCE]
            yield [record for record, _ in batch], np.stack([vector for _, vector in batch])

    def count(self, deadline: Deadline | None = None, *, filter: Filter | None = None) -> int:  # noqa: A002 - VectorStore's signature
        _ = self._dim
        _require_time(deadline)
        return len(self._records) if filter is None else len(self._between("", "", filter))

    def source(self) -> str:
        _ = self._dim
        return self._source

    def set_source(self, location: str) -> None:
        _ = self._dim
        self._source = location

    def flush(self) -> None:
        _ = self._dim

    def ping(self) -> None:
        _ = self._dim

    def close(self) -> None:
        self._open = False

    @property
    def _dim(self) -> int:
        if not self._open or self._model is None:
            raise StoreUnavailable("the vector store is not open", reason="closed")
        return self._model[1]


def _require_time(deadline: Deadline | None) -> None:
    """Raise DeadlineExceeded if the deadline has passed; one check is enough, as nothing here waits."""
    if deadline is not None:
        deadline.left_s()
