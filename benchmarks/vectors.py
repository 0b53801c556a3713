"""Vectors shaped as CLIP's are: in clusters, in few real dimensions, on the unit sphere; and the stores that hold them.

Independent random directions in 512 dimensions are all equally far apart, so that an index can only guess: they say nothing about
how well it does on pictures.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from ml_api.metrics import Metrics
from ml_api.records import ImageRecord, Vectors, image_id
from ml_api.vectors.base import SearchOptions, VectorStore
from ml_api.vectors.coalescing import CoalescingStore
from ml_api.vectors.milvus import MilvusEndpoint, MilvusStore, VectorIndex
from ml_api.vectors.milvus.connection import connect
from ml_api.vectors.milvus.schema import RECORD_FIELDS, VECTOR, collection_schema, rows_of

DIM = 512
CLUSTERS = 200
REAL_DIMENSIONS = 48
SPREAD = 0.6
SEED = 11
AT_ONCE = 1000
TIMEOUT_S = 300.0
COLLECTION = "benchmark"


def clustered(count: int, seed: int) -> Vectors:
    """(count, DIM). Whatever the seed, around the same CLUSTERS centres in the same REAL_DIMENSIONS."""
    world, own = np.random.default_rng(SEED), np.random.default_rng(seed)
    centres = world.standard_normal((CLUSTERS, REAL_DIMENSIONS))
    directions = world.standard_normal((REAL_DIMENSIONS, DIM))
    points = centres[own.integers(0, CLUSTERS, count)] + SPREAD * own.standard_normal((count, REAL_DIMENSIONS))
    vectors = (points @ directions).astype(np.float32)
    normalised: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return normalised


def records(count: int) -> list[ImageRecord]:
    return [
        ImageRecord(image_id(key), key, "110000-1700000000000000000", "0" * 64, 500, 375, 1.7e9, {"caption": "two dogs in snow"})
        for key in (f"photographs/{index:07}.jpg" for index in range(count))
    ]


def exact_ids(vectors: Vectors, queries: Vectors, limit: int) -> list[set[str]]:
    """The truth that recall is measured against: the ids of `records` nearest to each query, by comparing with every vector."""
    scores = queries @ vectors.T
    nearest = np.argpartition(-scores, limit, axis=1)[:, :limit]
    ids = [record.id for record in records(len(vectors))]
    return [{ids[index] for index in row} for row in nearest]


def fill(store: VectorStore, stored: list[ImageRecord], vectors: Vectors) -> None:
    for some, part in _parts(stored, vectors):
        store.upsert(some, part)
    store.flush()


class Searchable(Protocol):
    def fill(self, stored: list[ImageRecord], vectors: Vectors) -> None: ...
    def search(self, query: Vectors, limit: int) -> list[str]:
        """Ids of the nearest to one query of shape (1, DIM), with everything that an answer shows fetched."""
        ...

    def close(self) -> None: ...


class Ours:
    """Our store, as the application uses it."""

    def __init__(self, uri: str) -> None:
        metrics = Metrics()
        store = MilvusStore(MilvusEndpoint(uri), COLLECTION, VectorIndex(), metrics, TIMEOUT_S)
        self._store = CoalescingStore(store, metrics, timeout_s=TIMEOUT_S)
        self._store.ensure("benchmark@1", DIM)

    def fill(self, stored: list[ImageRecord], vectors: Vectors) -> None:
        fill(self._store, stored, vectors)

    def search(self, query: Vectors, limit: int) -> list[str]:
        return [hit.record.id for hit in self._store.search(query, SearchOptions(limit))[0]]

    def close(self) -> None:
        self._store.close()


class Bare:
    """pymilvus alone: the same fields and index, nothing checked, measured or locked.

    Only the connection is made as ours is: Milvus Lite drops one of pymilvus's own after half a minute of silence.
    """

    def __init__(self, uri: str) -> None:
        self._name = f"{COLLECTION}_bare"
        self._client: Any = connect(MilvusEndpoint(uri), uri, TIMEOUT_S)
        self._index = VectorIndex()
        params = self._client.prepare_index_params()
        params.add_index(VECTOR, index_type=self._index.kind, metric_type=self._index.metric, params={"params": self._index.build})
        self._client.create_collection(self._name, schema=collection_schema(DIM), index_params=params, timeout=TIMEOUT_S)
        self._embedded = MilvusEndpoint(uri).embedded

    def fill(self, stored: list[ImageRecord], vectors: Vectors) -> None:
        for some, part in _parts(stored, vectors):
            self._client.insert(self._name, rows_of(some, [record.metadata for record in some], part), timeout=TIMEOUT_S)
        if self._embedded:
            self._client.flush(self._name, timeout=TIMEOUT_S)

    def search(self, query: Vectors, limit: int) -> list[str]:
        [hits] = self._client.search(
            self._name,
            data=list(query),
            anns_field=VECTOR,
            limit=limit,
            search_params=self._index.search(limit, embedded=self._embedded),
            output_fields=RECORD_FIELDS,
            consistency_level="Session",
            timeout=TIMEOUT_S,
        )
        return [hit["id"] for hit in hits]

    def close(self) -> None:
        self._client.close()


def _parts(some: Sequence[ImageRecord], vectors: Vectors) -> Iterator[tuple[list[ImageRecord], Vectors]]:
    starts = range(0, len(some), AT_ONCE)
    return ((list(some[start : start + AT_ONCE]), vectors[start : start + AT_ONCE]) for start in starts)
