"""A searcher over a ranking that is known, for what becomes of rankings."""

import numpy as np

from ml_api.deadline import Deadline
from ml_api.embedding.batching import BatchingEncoder
from ml_api.embedding.fake import FakeEncoder, FakePreprocessor
from ml_api.metrics import Metrics
from ml_api.search import Arrangement, Query, Searcher, TextTerm, Thresholds, Weighted
from ml_api.search.grouping import DUPLICATES
from ml_api.search.hybrid import Hybrid
from ml_api.vectors.base import SearchOptions
from ml_api.vectors.memory import MemoryStore
from tests.wordless import wordless

GROUPED = Arrangement(DUPLICATES)
RED = TextTerm("red")


class CountingStore(MemoryStore):
    searches = lookups = gets = 0

    def search(self, *args):
        self.searches += 1
        return super().search(*args)

    def get(self, *args):
        self.gets += 1
        return super().get(*args)

    def vectors(self, *args):
        self.lookups += 1
        return super().vectors(*args)


class Shelf:
    """A searcher over images, each farther from the text "red" than the one before."""

    def __init__(self, records, index=None, calibrations=None):
        """`index` finds words beside vectors."""
        metrics, self._preprocessor, encoder, self.store = Metrics(), FakePreprocessor(), FakeEncoder(), CountingStore()
        self.store.ensure(encoder.model.model_id, encoder.model.dim)
        towards, away = encoder.embed([self._preprocessor.prepare_text("red"), self._preprocessor.prepare_text("blue")])
        mixed = np.stack([(1 - share) * towards + share * away for share in np.linspace(0.1, 0.9, len(records))])
        self.store.upsert(records, (mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).astype(np.float32))
        self._embedder = BatchingEncoder(encoder, metrics)
        self._hybrid = Hybrid(index(self.store), self.store, "COSINE", metrics) if index else wordless(self.store)
        self._searcher = Searcher(self._preprocessor, self._embedder, self.store, metrics, self._hybrid, calibrations)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._hybrid.close()
        self._embedder.close()

    def search(self, limit, offset=0, arrangement=GROUPED, term=RED, cursor=None, **more):
        """`more` is of the query; a score and a relevance are thresholds."""
        least = Thresholds(more.pop("score", None), more.pop("relevance", None))
        options = SearchOptions(limit, offset, filter=more.pop("filter", None))
        terms = (Weighted(term), *more.pop("beside", ()))
        query = Query(terms, options, thresholds=least, cursor=cursor, arrangement=arrangement, **more)
        return self._searcher.search(query, Deadline.within(60))

    def pages(self, limit, arrangement=GROUPED, **more):
        offset, results = 0, []
        while True:
            results.append(self.search(limit, offset, arrangement, **more))
            offset += limit
            if not results[-1].more:
                return results

    def pages_by_cursor(self, limit, arrangement=GROUPED, **more):
        results = [self.search(limit, 0, arrangement, **more)]
        while cursor := results[-1].next_cursor:
            results.append(self.search(limit, 0, arrangement, cursor=cursor, **more))
        return results


def keys(result):
    return [hit.record.key for hit in result.hits]
