"""MilvusStore: the vector store's operations on Milvus, each a straight line from checked values to pymilvus and back."""

import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pymilvus import MilvusClient

from ml_api.deadline import Deadline
from ml_api.errors import ConfigError, StoreUnavailable
from ml_api.metrics import Metrics
from ml_api.records import Entry, Hit, ImageRecord, Vectors
from ml_api.vectors.base import Generation, SearchOptions
from ml_api.vectors.milvus import schema
from ml_api.vectors.milvus.access import Access, ServerAccess
from ml_api.vectors.milvus.calls import OpenCollection
from ml_api.vectors.milvus.collection import SOURCE, CollectionSpec, VectorIndex, create, open_collection
from ml_api.vectors.milvus.connection import MilvusEndpoint, connect
from ml_api.vectors.milvus.failures import startup_failures
from ml_api.vectors.milvus.generations import MilvusGenerations, leading
from ml_api.vectors.validation import check_bounds, check_page, check_records, check_vectors, distinct_ids

OPEN_TIMEOUT_S = 120.0
"""Least patience with loading a collection: after a crash Milvus Lite replays its log, measured up to 29 s."""

WRITE_TIMEOUT_S = 120.0
"""Least patience with a write to Milvus Lite: it cannot be cancelled, and a second one must not start beside it."""

IDS_AT_ONCE = 256
"""Most records asked for by id in one message; each can carry 64 KB of metadata."""

ENTRIES_AT_ONCE = 5000

SCANNED_AT_ONCE = 512
"""Most whole records in one message of a server: with the longest keys and the largest metadata they fill half of it."""

SCANNED_EMBEDDED = 5000
"""Milvus Lite looks at every row for each page, so that its pages are large; its messages may be, too."""

NO_IMAGE = "0" * schema.ID_CHARS

_log = logging.getLogger(__name__)


class Found(NamedTuple):
    """A collection that is there, and loaded."""

    name: str
    model_id: str
    dim: int


class MilvusStore:
    """A VectorStore on a Milvus server (from 2.3.5) or in a Milvus Lite folder.

    Reads of a server see what this process wrote before ("Session"); `entries` and `count`, which a sync decides by, see what
    anybody wrote ("Strong", which costs 0.2-0.4 s: the server waits for its clock to pass).
    """

    def __init__(
        self, endpoint: MilvusEndpoint, collection: str, index: VectorIndex, metrics: Metrics, timeout_s: float = 10
    ) -> None:
        self._endpoint = endpoint
        self._alias = collection
        self._index = index
        self._metrics = metrics
        self._timeout_s = timeout_s
        self._write_timeout_s = max(timeout_s, WRITE_TIMEOUT_S) if endpoint.embedded else timeout_s
        self._opening = threading.Lock()
        self._current: OpenCollection | None = None
        self._access: Access = _access_to(endpoint, timeout_s)
        self._sharing: list[MilvusStore] = []
        """The open stores of one connection; the last to be closed closes it."""

    @property
    def backend(self) -> str:
        return self._access.backend

    def ensure(self, model_id: str, dim: int) -> None:
        with self._opening, self._metrics.store.call(self.backend, "ensure"):
            if self._current is None:
                spec = CollectionSpec(self._alias, model_id, dim, self._index)

                def found(client: MilvusClient, timeout_s: float) -> Found:
                    return Found(open_collection(client, spec, timeout_s, self._access.repair), model_id, dim)

                self._current = self._open(found)
            elif (self._current.model_id, self._current.dim) != (model_id, dim):
                raise ConfigError(f"the collection {self._alias!r} is open for the model {self._current.model_id}, not {model_id}")

    def open_current(self) -> Generation:
        """Open what the alias leads to, whatever its model; in place of `ensure`. Raises ConfigError if there is nothing."""

        def found(client: MilvusClient, timeout_s: float) -> Found:
            generation = leading(client, self._alias, timeout_s)
            client.load_collection(generation.name, timeout=timeout_s)
            return Found(generation.name, generation.model_id, generation.dim)

        with self._opening, self._metrics.store.call(self.backend, "ensure"):
            self._current = self._open(found)
        return self.generations().current()

    def beside(self, model_id: str, dim: int) -> "MilvusStore":
        """The open store of another model's vectors, empty if there were none. The alias does not lead to it. Close it, too."""
        opened = self._open_now()
        spec = CollectionSpec(self._alias, model_id, dim, self._index)
        with opened.writing("ensure"):
            timeout_s = max(self._timeout_s, OPEN_TIMEOUT_S)
            create(opened.client, spec, timeout_s)
            opened.client.load_collection(spec.name, timeout=timeout_s)
        other = MilvusStore(self._endpoint, self._alias, self._index, self._metrics, self._timeout_s)
        other._access, other._sharing = self._access, self._sharing
        other._current = replace(opened, collection=spec.name, model_id=model_id, dim=dim)
        other._access.attach(other._current.flush)
        other._sharing.append(other)
        return other

    def generations(self) -> MilvusGenerations:
        return MilvusGenerations(self._alias, self._open_now())

    def upsert(self, records: Sequence[ImageRecord], vectors: Vectors) -> None:
        opened = self._open_now()
        metadata = check_records(records, vectors, opened.dim)
        for chunk, size in schema.chunks(schema.rows_of(records, metadata, vectors)):
            with opened.writing("upsert", len(chunk), size) as timeout_s:
                opened.client.upsert(opened.collection, chunk, timeout=timeout_s)

    def delete(self, ids: Sequence[str]) -> None:
        opened = self._open_now()
        for some in _batches(distinct_ids(ids), schema.CHUNK_BYTES // 64):
            with opened.writing("delete", len(some), 64 * len(some)) as timeout_s:
                opened.client.delete(opened.collection, filter=_among(some), timeout=timeout_s)
        if ids and not self._endpoint.embedded:
            _see_deletes(opened)

    def search(self, vectors: Vectors, options: SearchOptions, deadline: Deadline | None = None) -> list[list[Hit]]:
        opened = self._open_now()
        check_vectors(vectors, opened.dim)
        if not len(vectors):
            return []
        with opened.searching("search", deadline) as timeout_s:
            found = opened.client.search(
                opened.collection,
                data=list(np.asarray(vectors, dtype=np.float32)),
                anns_field=schema.VECTOR,
                limit=options.limit,
                offset=options.offset,
                search_params=self._index.search(options.window, embedded=self._endpoint.embedded),
                output_fields=schema.RECORD_FIELDS,
                consistency_level="Session",
                timeout=timeout_s,
            )
        return [[self._hit(hit) for hit in hits] for hits in found]

    def get(self, ids: Sequence[str], deadline: Deadline | None = None) -> dict[str, ImageRecord]:
        rows = self._rows("get", ids, schema.RECORD_FIELDS, deadline)
        return {row["id"]: schema.record_of(row) for row in rows}

    def vectors(self, ids: Sequence[str], deadline: Deadline | None = None) -> dict[str, npt.NDArray[np.float32]]:
        rows = self._rows("vectors", ids, ["id", schema.VECTOR], deadline)
        return {row["id"]: schema.vector_of(row) for row in rows}

    def entries(self, after: str = "", until: str = "") -> Iterator[Entry]:
        check_bounds(after, until)
        for page in self._pages("entries", schema.ENTRY_FIELDS, ENTRIES_AT_ONCE, after, until):
            yield from map(schema.entry_of, page)

    def page(self, after: str, limit: int, deadline: Deadline | None = None) -> list[Entry]:
        check_page(limit)
        check_bounds(after, "")
        return list(map(schema.entry_of, self._open_now().page("page", schema.ENTRY_FIELDS, limit, after, deadline=deadline)))

    def scan(self, after: str = "") -> Iterator[tuple[list[ImageRecord], Vectors]]:
        check_bounds(after, "")
        at_once = SCANNED_EMBEDDED if self._endpoint.embedded else SCANNED_AT_ONCE
        for page in self._pages("scan", [*schema.RECORD_FIELDS, schema.VECTOR], at_once, after):
            yield [schema.record_of(row) for row in page], np.stack([schema.vector_of(row) for row in page])

    def count(self, deadline: Deadline | None = None) -> int:
        [row] = self._open_now().query("count", deadline, filter="", output_fields=["count(*)"], consistency_level="Strong")
        return int(row["count(*)"])

    def source(self) -> str:
        opened = self._open_now()
        with opened.reading("source") as timeout_s:
            found = opened.client.describe_collection(opened.collection, timeout=timeout_s)
        return str((found.get("properties") or {}).get(SOURCE, ""))

    def set_source(self, location: str) -> None:
        opened = self._open_now()
        with opened.writing("set_source") as timeout_s:
            opened.client.alter_collection_properties(opened.collection, {SOURCE: location}, timeout=timeout_s)

    def flush(self) -> None:
        self._open_now()
        self._access.flush()

    def ping(self) -> None:
        """Look for an image that cannot be: as a search, it needs every part of the server."""
        self._access.check()
        self._open_now().query("ping", filter=_among([NO_IMAGE]), output_fields=["id"], consistency_level="Session")

    def close(self) -> None:
        with self._opening:
            opened, self._current = self._current, None
            if opened is None:
                return
            self._sharing.remove(self)
            if self._sharing:
                self._access.detach(opened.flush)
            else:
                self._access.close(opened.client.close)

    def _open(self, find: Callable[[MilvusClient, float], Found]) -> OpenCollection:
        timeout_s = max(self._timeout_s, OPEN_TIMEOUT_S)
        uri = self._access.open()
        client = None
        try:
            with startup_failures(self._endpoint, timeout_s):
                client = connect(self._endpoint, uri, self._timeout_s)
                found = find(client, timeout_s)
            opened = OpenCollection(
                client,
                found.name,
                found.model_id,
                found.dim,
                self._access,
                self._metrics.store,
                self._timeout_s,
                self._write_timeout_s,
            )
            self._access.attach(opened.flush)
            self._sharing.append(self)
        except BaseException:
            # The folder of Milvus Lite must be free again for the next attempt.
            self._access.close(client.close if client is not None else lambda: None)
            raise
        _log.info("collection %s (%s) is open in %s", self._alias, found.name, self._endpoint.address)
        return opened

    def _open_now(self) -> OpenCollection:
        opened = self._current
        if opened is None:
            raise StoreUnavailable("the vector store is not open", reason="closed")
        return opened

    def _pages(
        self, operation: str, fields: list[str], at_once: int, after: str = "", until: str = ""
    ) -> Iterator[list[schema.Row]]:
        """All rows in the order of ids: what is written meanwhile may or may not appear, nothing appears twice."""
        while page := self._open_now().page(operation, fields, at_once, after, until=until):
            yield page
            after = str(page[-1]["id"])

    def _rows(self, operation: str, ids: Sequence[str], fields: list[str], deadline: Deadline | None) -> Iterator[schema.Row]:
        self._open_now()
        for some in _batches(distinct_ids(ids), IDS_AT_ONCE):
            yield from self._open_now().query(
                operation, deadline, filter=_among(some), output_fields=fields, consistency_level="Session"
            )

    def _hit(self, hit: Any) -> Hit:
        distance = float(hit["distance"])
        return Hit(schema.record_of(hit["entity"]), -distance if self._index.metric == "L2" else distance)


def _access_to(endpoint: MilvusEndpoint, timeout_s: float) -> Access:
    if not endpoint.embedded:
        return ServerAccess(endpoint.uri)
    from ml_api.vectors.milvus.embedded import EmbeddedAccess

    return EmbeddedAccess(endpoint.uri, timeout_s)


def _among(ids: Sequence[str]) -> str:
    """An expression of ids that were checked to be hex: pymilvus's own `ids=` does not escape."""
    return f"id in {json.dumps(list(ids))}"


def _batches(ids: list[str], size: int) -> Iterator[list[str]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))


def _see_deletes(opened: OpenCollection) -> None:
    """Wait until the server shows them gone.

    On a busy server 2.3.5 a Session read after a delete still saw the rows, 13 times of 60; after one Strong read it never did.
    Upserts are seen at once.
    """
    opened.query("settle", filter=_among([NO_IMAGE]), output_fields=["id"], consistency_level="Strong")
