"""Searches by the index, for MilvusStore: on a server, or within this process."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ml_api.deadline import Deadline
from ml_api.records import Hit, Vectors
from ml_api.vectors.base import MetricType, SearchOptions
from ml_api.vectors.milvus import schema
from ml_api.vectors.milvus.calls import OpenCollection
from ml_api.vectors.milvus.filtered import WIDER, ServerFilter
from ml_api.vectors.milvus.index import VectorIndex


@dataclass(frozen=True, slots=True)
class IndexSearch:
    """Search by `index`."""

    index: VectorIndex
    embedded: bool
    """Whether the rows are Milvus Lite's, in this process."""

    def compares_all(self, options: SearchOptions) -> bool:
        """Whether a search is exact. On Milvus Lite searches that are `exact` or have a filter compare all rows."""
        return self.index.exact or (self.embedded and (options.exact or options.filter is not None))

    def nearest(
        self, opened: OpenCollection, vectors: Vectors, options: SearchOptions, deadline: Deadline | None
    ) -> list[list[Hit]] | None:
        """Return the hits of each vector; None if the index may have missed rows that fulfil the filter, so that all of these have
        to be compared. Raises StoreUnavailable, DeadlineExceeded.
        """
        turn = opened.reading if options.gives_way else opened.searching
        with turn("exact" if options.exact else "search", deadline) as timeout_s:
            hits = self._found(opened, np.asarray(vectors, dtype=np.float32), options, timeout_s)
        if self.embedded or options.filter is None:
            return hits
        return hits if ServerFilter.of(options.filter, opened).accepts(hits, options.limit) else None

    def ping(self, opened: OpenCollection) -> None:
        """Call through the connection, and search for an arbitrary vector. It does not count as a search that rows are flushed for.
        Raises StoreUnavailable.
        """
        opened.reach("ping")
        with opened.reading("ping") as timeout_s:
            self._found(opened, np.eye(1, opened.dim, dtype=np.float32), SearchOptions(1), timeout_s)

    def _found(self, opened: OpenCollection, vectors: Vectors, options: SearchOptions, timeout_s: float) -> list[list[Hit]]:
        index = self._index_for(options)
        if (here := opened.access.rows) is not None:
            return here.ranked(opened.collection, vectors, options, index)
        results = opened.client.search(
            opened.collection,
            data=list(vectors),
            anns_field=schema.VECTOR,
            limit=options.limit,
            offset=options.offset,
            filter=ServerFilter.of(options.filter, opened).text,
            search_params=index.search(options.window, embedded=False),
            output_fields=schema.RECORD_FIELDS,
            consistency_level="Session",
            timeout=timeout_s,
        )
        return [[_hit(hit, index.metric) for hit in hits] for hits in results]

    def _index_for(self, options: SearchOptions) -> VectorIndex:
        """The index with the parameters of one search."""
        if options.effort is not None:
            return self.index.with_effort(options.effort)
        return self.index if options.filter is None else self.index.wider(WIDER)


def _hit(hit: Any, metric: MetricType) -> Hit:
    distance = float(hit["distance"])
    return Hit(schema.record_of(hit["entity"]), -distance if metric == "L2" else distance)
