"""Exact search in a server's collection of any index, by comparison with every vector.

No search parameter of Milvus's asks for that. HNSW's graph need not connect all of its vectors, however far a search looks; SQ8 and
PQ hold approximations; and what a server has not indexed yet it may search by an index of its own. So the vectors themselves are
compared, page by page as the server sends them. Those of Milvus Lite are in this process (`embedded.ranking`).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Final

import numpy as np

from ml_api.deadline import Deadline
from ml_api.errors import Overloaded, StoreUnavailable
from ml_api.records import Vectors
from ml_api.vectors.base import MetricType, SearchOptions
from ml_api.vectors.filters import Filter
from ml_api.vectors.milvus import schema
from ml_api.vectors.milvus.access import PageQuery
from ml_api.vectors.milvus.calls import OpenCollection
from ml_api.vectors.milvus.failures import cut_off_at
from ml_api.vectors.milvus.filtered import ServerFilter
from ml_api.vectors.scoring import Best, scores

PAGE_BYTES: Final = 8 * 2**20
MAX_ROWS: Final = 8192
"""Rows of a page. Milvus answers a query with 16,384 at most."""

Ranked = list[list[tuple[str, float]]]
"""For each query ids with their scores, best first."""


class ExactSearch:
    """One at a time: each reads the whole collection, and a second beside it only makes both late.

    One that gives way holds up no other. It takes no turn, but ends before its next page once another has one.
    """

    def __init__(self, metric: MetricType, timeout_s: float) -> None:
        """`timeout_s` is the patience with one that is running, for a search without a deadline."""
        self._metric = metric
        self._timeout_s = timeout_s
        self._running = threading.Lock()

    def nearest(self, opened: OpenCollection, queries: Vectors, options: SearchOptions, deadline: Deadline | None) -> Ranked:
        """What `options` name of the ranking of each query. Raises StoreUnavailable, DeadlineExceeded, Overloaded."""
        queries = np.asarray(queries, dtype=np.float32)
        best = Best(len(queries), options.window)
        with nullcontext() if options.gives_way else self._alone(deadline):
            self._check(options)
            for ids, stored in _pages(opened, options.filter, deadline):
                best.add(ids, scores(self._metric, queries, stored))
                self._check(options)
        return best.ranked(options.offset)

    def _check(self, options: SearchOptions) -> None:
        if options.gives_way and self._running.locked():
            raise Overloaded("another exact search is running")

    @contextmanager
    def _alone(self, deadline: Deadline | None) -> Iterator[None]:
        patience_s = self._timeout_s if deadline is None else deadline.left_s()
        with cut_off_at(deadline):
            if not self._running.acquire(timeout=patience_s):
                raise StoreUnavailable(f"another exact search is still running after {patience_s:.3g} s", reason="timeout")
        try:
            yield
        finally:
            self._running.release()


def _pages(opened: OpenCollection, wanted: Filter | None, deadline: Deadline | None) -> Iterator[tuple[list[str], Vectors]]:
    """All vectors (n, dim) that fulfil the filter, with their ids, in the order of these."""
    at_once = min(MAX_ROWS, max(1, PAGE_BYTES // (4 * opened.dim)))
    asked = ServerFilter.of(wanted, opened)
    rows_wanted, last = PageQuery(["id", schema.VECTOR, *asked.fields], at_once, also=asked.text, consistency="Session"), ""
    while page := opened.page("scan", last, rows_wanted, deadline):
        if rows := [row for row in page if asked.passes(row)]:
            yield [row["id"] for row in rows], np.asarray([row[schema.VECTOR] for row in rows], dtype=np.float32)
        last = page[-1]["id"]
