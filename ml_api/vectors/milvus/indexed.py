"""Search by the index: the nearest that it finds, in the time that its parameters allow."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ml_api.deadline import Deadline
from ml_api.records import Hit, Vectors
from ml_api.vectors.base import Metric, SearchOptions
from ml_api.vectors.milvus import schema
from ml_api.vectors.milvus.calls import NO_IMAGE, OpenCollection, among
from ml_api.vectors.milvus.filtered import WIDER, Asked
from ml_api.vectors.milvus.index import VectorIndex


@dataclass(frozen=True, slots=True)
class IndexSearch:
    index: VectorIndex
    embedded: bool
    """Whether it is Milvus Lite's."""

    def compares_all(self, options: SearchOptions) -> bool:
        """Whether such a search is exact: Milvus Lite's rows are compared for exact searches, and those that fulfil a filter."""
        return self.index.exact or (self.embedded and (options.exact or options.filter is not None))

    def nearest(
        self, opened: OpenCollection, vectors: Vectors, options: SearchOptions, deadline: Deadline | None
    ) -> list[list[Hit]] | None:
        """The hits of each vector; None if the index may have missed some that fulfil the filter, so that all of them must be
        compared. Raises StoreUnavailable, DeadlineExceeded.
        """
        with opened.searching("exact" if options.exact else "search", deadline) as timeout_s:
            hits = self._found(opened, np.asarray(vectors, dtype=np.float32), options, timeout_s)
        if self.embedded or options.filter is None:
            return hits
        return hits if Asked.of(options.filter, opened).accepts(hits, options.limit) else None

    def ping(self, opened: OpenCollection) -> None:
        """Look for an image that cannot be, through the connection, and search for anything, which is no reason to expect another
        search (`flushing`). Raises StoreUnavailable.
        """
        opened.query("ping", filter=among([NO_IMAGE]), output_fields=["id"], consistency_level="Session")
        with opened.reading("ping") as timeout_s:
            self._found(opened, np.eye(1, opened.dim, dtype=np.float32), SearchOptions(1), timeout_s)

    def _found(self, opened: OpenCollection, vectors: Vectors, options: SearchOptions, timeout_s: float) -> list[list[Hit]]:
        index = self._index_for(options)
        if (here := opened.access.rows) is not None:
            return here.ranked(opened.collection, vectors, options, index)
        found = opened.client.search(
            opened.collection,
            data=list(vectors),
            anns_field=schema.VECTOR,
            limit=options.limit,
            offset=options.offset,
            filter=Asked.of(options.filter, opened).text,
            search_params=index.search(options.window, embedded=False),
            output_fields=schema.RECORD_FIELDS,
            consistency_level="Session",
            timeout=timeout_s,
        )
        return [[_hit(hit, index.metric) for hit in some] for some in found]

    def _index_for(self, options: SearchOptions) -> VectorIndex:
        """The index with the parameters of one search."""
        if options.effort is not None:
            return self.index.with_effort(options.effort)
        return self.index if options.filter is None else self.index.wider(WIDER)


def _hit(hit: Any, metric: Metric) -> Hit:
    distance = float(hit["distance"])
    return Hit(schema.record_of(hit["entity"]), -distance if metric == "L2" else distance)
