"""Search by the index."""

from typing import Any

import numpy as np

from ml_api.deadline import Deadline
from ml_api.records import Hit, Vectors
from ml_api.vectors.base import Metric, SearchOptions
from ml_api.vectors.milvus import schema
from ml_api.vectors.milvus.calls import OpenCollection
from ml_api.vectors.milvus.filtered import WIDER, Asked
from ml_api.vectors.milvus.index import VectorIndex


def by_index(  # noqa: PLR0913 - what a search is
    opened: OpenCollection,
    vectors: Vectors,
    options: SearchOptions,
    index: VectorIndex,
    deadline: Deadline | None,
    *,
    embedded: bool,
) -> list[list[Hit]] | None:
    """The hits of each vector; None if the index may have missed some that fulfil the filter, so that all of them are compared."""
    asked = Asked.of(options.filter, opened)
    if options.effort is not None:
        index = index.with_effort(options.effort)
    elif options.filter is not None:
        index = index.wider(WIDER)
    with opened.searching("search", deadline) as timeout_s:
        ranked = opened.access.by_index(opened.collection, np.asarray(vectors, dtype=np.float32), options, index)
        if ranked is not None:
            return [[Hit(schema.record_of(row), score) for row, score in some] for some in ranked]
        if embedded and options.filter is not None:
            return None
        found = opened.client.search(
            opened.collection,
            data=list(np.asarray(vectors, dtype=np.float32)),
            anns_field=schema.VECTOR,
            limit=options.limit,
            offset=options.offset,
            filter=asked.text,
            search_params=index.search(options.window, embedded=embedded),
            output_fields=schema.RECORD_FIELDS,
            consistency_level="Session",
            timeout=timeout_s,
        )
    hits = [[_hit(hit, index.metric) for hit in some] for some in found]
    return hits if options.filter is None or asked.accepts(hits, options.limit) else None


def _hit(hit: Any, metric: Metric) -> Hit:
    distance = float(hit["distance"])
    return Hit(schema.record_of(hit["entity"]), -distance if metric == "L2" else distance)
