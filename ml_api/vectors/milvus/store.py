"""Implements VectorStore on Milvus: each operation checks its values, calls Milvus, and converts the result."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import islice

import numpy as np
import numpy.typing as npt

from ml_api.batched import batched
from ml_api.deadline import Deadline, held
from ml_api.errors import ConfigError, StoreUnavailable
from ml_api.metrics import Metrics
from ml_api.records import Entry, Hit, ImageRecord, Vectors
from ml_api.vectors.base import Generation, SearchOptions
from ml_api.vectors.filters import Field, Filter, holds
from ml_api.vectors.milvus import listing, schema
from ml_api.vectors.milvus.access import PageQuery
from ml_api.vectors.milvus.calls import OpenCollection
from ml_api.vectors.milvus.collection import SOURCE, CollectionSpec
from ml_api.vectors.milvus.connection import MilvusEndpoint
from ml_api.vectors.milvus.exact import ExactSearch
from ml_api.vectors.milvus.generations import MilvusGenerations
from ml_api.vectors.milvus.index import VectorIndex
from ml_api.vectors.milvus.indexed import IndexSearch
from ml_api.vectors.milvus.opening import Opening
from ml_api.vectors.validation import check_bounds, check_page, check_records, check_vectors, distinct_digests, distinct_ids


class MilvusStore:
    """A VectorStore on a Milvus server (from 2.3.5) or in a Milvus Lite folder.

    Reads of a server see earlier writes of this process ("Session"); `entries` and `count`, which syncs decide by, see those of all
    processes ("Strong", which costs 0.2-0.4 s, as the server waits for its clock to advance).
    """

    def __init__(  # noqa: PLR0913 - what a store is made with
        self,
        endpoint: MilvusEndpoint,
        collection: str,
        index: VectorIndex,
        metrics: Metrics,
        timeout_s: float = 10,
        *,
        fields: Sequence[Field] = (),
    ) -> None:
        self.fields = () if endpoint.embedded else tuple(fields)
        """Metadata fields that get columns in new collections on a server."""
        self._index = index
        self._metrics = metrics
        self._timeout_s = timeout_s
        self._opening = Opening(endpoint, collection, metrics, timeout_s)
        self._by_index = IndexSearch(index, endpoint.embedded)
        self._exact = ExactSearch(index.metric, timeout_s)
        self._lock = threading.Lock()
        self._exclusive = threading.Lock()
        self._current: OpenCollection | None = None
        self._writes_stopped = False

    @property
    def backend(self) -> str:
        return self._opening.access.backend

    def ensure(self, model_id: str, dim: int, *, create: bool = True) -> None:
        """Without `create`, raise NothingIndexed if there is no collection yet."""
        alias = self._opening.alias
        with self._lock:
            if self._current is None:
                self._index.check(dim, embedded=self._opening.endpoint.embedded)
                self._current = self._opening.wanted(CollectionSpec(alias, model_id, dim, self._index, self.fields), create=create)
            elif (self._current.model_id, self._current.dim) != (model_id, dim):
                raise ConfigError(f"the collection {alias!r} is open for the model {self._current.model_id}, not {model_id}")

    def open_current(self) -> Generation:
        """Open the collection in use, whatever its model, instead of `ensure`. Raises NothingIndexed."""
        with self._lock:
            self._current = self._opening.current()
        return self.generations().current()

    def beside(self, model_id: str, dim: int) -> "MilvusStore":
        """Return a store of another model's vectors, open, and empty if there were none. The alias does not refer to it. The caller
        closes it, too."""
        opening = self._opening
        other = MilvusStore(opening.endpoint, opening.alias, self._index, self._metrics, self._timeout_s, fields=self.fields)
        self._index.check(dim, embedded=opening.endpoint.embedded)
        other._opening = opening
        other._current = opening.beside(self._open_now(), CollectionSpec(opening.alias, model_id, dim, self._index, self.fields))
        return other

    def generations(self) -> MilvusGenerations:
        return MilvusGenerations(self._opening.alias, self._open_now())

    def stop_writes(self) -> None:
        """Refuse further writes: the vectors of another model are about to be put into use, and writes to these would be lost."""
        with self._exclusive:
            self._writes_stopped = True

    def resume_writes(self) -> None:
        """Accept writes again, after a switch to another model has failed."""
        with self._exclusive:
            self._writes_stopped = False

    def upsert(self, records: Sequence[ImageRecord], vectors: Vectors) -> None:
        opened = self._open_to_write()
        metadata = check_records(records, vectors, opened.dim)
        for chunk, size in schema.chunks(schema.rows_of(records, metadata, vectors, opened.fields)):
            opened.upsert(chunk, size)

    def exclusive(self, deadline: Deadline | None = None) -> AbstractContextManager[None]:
        return held(self._exclusive, deadline)

    def delete(self, ids: Sequence[str]) -> None:
        opened = self._open_to_write()
        for batch in batched(distinct_ids(ids), schema.CHUNK_BYTES // 64):
            opened.delete(batch)
        if ids and not self._opening.endpoint.embedded:
            opened.see_deletes()

    def search(self, vectors: Vectors, options: SearchOptions, deadline: Deadline | None = None) -> list[list[Hit]]:
        opened = self._open_now()
        check_vectors(vectors, opened.dim)
        if not len(vectors):
            return []
        compared = options.exact and not self._by_index.compares_all(options)
        hits = None if compared else self._by_index.nearest(opened, vectors, options, deadline)
        return self._by_comparison(opened, vectors, options, deadline) if hits is None else hits

    def compares_all(self, options: SearchOptions) -> bool:
        return options.exact or self._by_index.compares_all(options)

    def get(self, ids: Sequence[str], deadline: Deadline | None = None) -> dict[str, ImageRecord]:
        rows = listing.by_id(self._open_now(), "get", distinct_ids(ids), schema.RECORD_FIELDS, deadline)
        return {row["id"]: schema.record_of(row) for row in rows}

    def vectors(self, ids: Sequence[str], deadline: Deadline | None = None) -> dict[str, npt.NDArray[np.float32]]:
        rows = listing.by_id(self._open_now(), "vectors", distinct_ids(ids), ["id", schema.VECTOR], deadline)
        return {row["id"]: schema.vector_of(row) for row in rows}

    def entries(self, after: str = "", until: str = "") -> Iterator[Entry]:
        check_bounds(after, until)
        for page in listing.pages(self._open_now(), "entries", schema.ENTRY_FIELDS, after, until):
            yield from map(schema.entry_of, page)

    def page(self, after: str, limit: int, deadline: Deadline | None = None, *, filter: Filter | None = None) -> list[Entry]:  # noqa: A002 - VectorStore's signature
        check_page(limit)
        check_bounds(after, "")
        opened = self._open_now()
        if filter is not None:
            return list(map(schema.entry_of, islice(listing.fulfilling(opened, after, limit, filter, deadline), limit)))
        return list(map(schema.entry_of, opened.page("page", after, PageQuery(schema.ENTRY_FIELDS, limit), deadline)))

    def of_digests(self, digests: Sequence[str], deadline: Deadline | None = None) -> list[Entry]:
        rows = listing.of_digests(self._open_now(), distinct_digests(digests), deadline)
        return list(map(schema.entry_of, rows))

    def scan(self, after: str = "") -> Iterator[tuple[list[ImageRecord], Vectors]]:
        check_bounds(after, "")
        pages = listing.pages if self._opening.endpoint.embedded else listing.pages_by_id
        for page in pages(self._open_now(), "scan", [*schema.RECORD_FIELDS, schema.VECTOR], after):
            yield [schema.record_of(row) for row in page], np.stack([schema.vector_of(row) for row in page])

    def count(self, deadline: Deadline | None = None, *, filter: Filter | None = None) -> int:  # noqa: A002 - VectorStore's signature
        opened = self._open_now()
        return opened.count(deadline, "Strong") if filter is None else listing.count(opened, filter, deadline)

    def source(self) -> str:
        opened = self._open_now()
        with opened.reading("source") as timeout_s:
            description = opened.client.describe_collection(opened.collection, timeout=timeout_s)
        return str((description.get("properties") or {}).get(SOURCE, ""))

    def set_source(self, location: str) -> None:
        opened = self._open_now()
        with opened.writing("set_source") as timeout_s:
            opened.client.alter_collection_properties(opened.collection, {SOURCE: location}, timeout=timeout_s)

    def flush(self) -> None:
        self._open_now()
        self._opening.access.flush()

    def ping(self) -> None:
        self._opening.tend()
        self._opening.access.check()
        self._by_index.ping(self._open_now())

    def close(self) -> None:
        with self._lock:
            opened, self._current = self._current, None
            if opened is not None:
                self._opening.close(opened)

    def _open_now(self) -> OpenCollection:
        opened = self._current
        if opened is None:
            raise StoreUnavailable("the vector store is not open", reason="closed")
        return opened

    def _open_to_write(self) -> OpenCollection:
        if self._writes_stopped:
            raise StoreUnavailable("the vectors of another model take over now; try again", reason="closed")
        return self._open_now()

    def _by_comparison(
        self, opened: OpenCollection, vectors: Vectors, options: SearchOptions, deadline: Deadline | None
    ) -> list[list[Hit]]:
        """Search by comparison, without rows that since the ranking were deleted, or changed so that they do not fulfil the
        filter."""
        ranked = self._exact.nearest(opened, vectors, options, deadline)
        records = self.get([image_id for row in ranked for image_id, _ in row], deadline)
        if options.filter is not None:
            records = {id_: record for id_, record in records.items() if holds(options.filter, record)}
        return [[Hit(records[image_id], score) for image_id, score in row if image_id in records] for row in ranked]
