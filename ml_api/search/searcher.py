"""The searcher: embeds the terms of queries, combines the vectors of each query, and finds its hits.

The queries of a batch share every step: one lookup of stored images, one wait for the model, one call of the store for each
set of equal options. A single query is a list of one.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from ml_api.deadline import Deadline
from ml_api.embedding.base import Embedder, Preprocessor
from ml_api.errors import InvalidInput, MlApiError
from ml_api.metrics import Metrics
from ml_api.records import Hit
from ml_api.search.cursor import Cursors, Position
from ml_api.search.fields import OverviewCache
from ml_api.search.fusion import TextMatches
from ml_api.search.hybrid import Hybrid
from ml_api.search.online_recall import OnlineRecall
from ml_api.search.pages import Page, Pages, Read
from ml_api.search.query import Fault, Query, SearchResult, Term
from ml_api.search.relevance import TOP_K, Calibrations, kind_of
from ml_api.search.targets import Target, build_target
from ml_api.search.term_vectors import TermVector, TermVectors
from ml_api.stages import stage
from ml_api.vectors.base import SearchOptions, VectorStore
from ml_api.vocabulary import Stage

MAX_READS: Final = 24
"""Reads of a ranking for one page: enough to lead from the deepest position back to the beginning."""


class Searcher:
    """Thread-safe."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of a search
        self,
        preprocessor: Preprocessor,
        embedder: Embedder,
        store: VectorStore,
        metrics: Metrics,
        hybrid: Hybrid,
        calibrations: Calibrations | None = None,
        recall: OnlineRecall | None = None,
        *,
        collection: str = "",
    ) -> None:
        """Cursors are bound to the name of the `collection`."""
        self._cursors = Cursors(collection)
        self._calibrations = calibrations
        self._recall = recall
        self._hybrid = hybrid
        self._term_vectors = TermVectors(preprocessor, embedder, store)
        self._embedder = embedder
        self._store = store
        self.fields = OverviewCache(store)
        self._pages = Pages(store, self.fields, calibrations)
        self._metrics = metrics.search

    def search(self, query: Query, deadline: Deadline) -> SearchResult:
        """Raises InvalidQuery, NotFound, Overloaded, Unavailable, DeadlineExceeded."""
        [result] = self.search_all([query], deadline)
        if isinstance(result, Fault):
            raise result.error
        return result

    def search_all(self, queries: Sequence[Query], deadline: Deadline) -> list[SearchResult | Fault]:
        """One result, or the error, for each query.

        Raises errors that concern all queries: Overloaded, Unavailable, DeadlineExceeded.
        """
        positions = [self._position(query) for query in queries]
        sound = [query for query, position in zip(queries, positions, strict=True) if isinstance(position, Position)]
        lookups = self._hybrid.begin(sound)
        try:
            term_vectors = self._term_vectors.of(dict.fromkeys(term for query in sound for term in query.vector_terms), deadline)
            texts = self._hybrid.matches(sound, lookups, deadline)
        finally:
            self._hybrid.end(lookups)
        targets = [self._target(query, position, term_vectors, texts) for query, position in zip(queries, positions, strict=True)]
        good = [target for target in targets if isinstance(target, Target)]
        with stage(Stage.SEARCH):
            pages = {target: self._pages.page(target, read, deadline) for target, read in self._read(good, deadline).items()}
            vectors = self._vectors_of(pages, deadline)
        return [target if isinstance(target, Fault) else self._result(target, pages[target], vectors) for target in targets]

    def _position(self, query: Query) -> Position | Fault:
        try:
            return self._cursors.read(query, self._embedder.model.model_id)
        except InvalidInput as exc:
            return Fault(exc)

    def _target(
        self,
        query: Query,
        position: Position | Fault,
        term_vectors: Mapping[Term, TermVector | MlApiError],
        texts: Mapping[Query, TextMatches],
    ) -> Target | Fault:
        target = build_target(query, position, term_vectors, texts.get(query)) if isinstance(position, Position) else position
        if isinstance(target, Fault) or self._calibrations is None or query.marks.any:
            return target
        kind = kind_of([term_vector.modality for term_vector in target.term_vectors], [one.weight for one in query.terms])
        return replace(target, kind=kind) if self._calibrations.has(kind) else target

    def _read(self, targets: Sequence[Target], deadline: Deadline) -> dict[Target, Read]:
        ranked = self._ranked_to_the_page(targets, deadline)
        heads = ranked | self._ranked(_asked({target: target.head_options for target in targets}), deadline)
        judging = _asked({target: target.unfiltered_options for target in targets})
        unfiltered = heads | self._ranked(judging, deadline, delivers=False)
        of_texts = self._ranked_by_each_text([target for target in targets if target.separate_texts], deadline)
        parts = self._hybrid.fused(ranked, deadline)
        return {target: Read(parts[target], heads[target], unfiltered[target], of_texts.get(target, ())) for target in targets}

    def _ranked_by_each_text(self, targets: Sequence[Target], deadline: Deadline) -> dict[Target, list[list[Hit]]]:
        """For each target the best hits of each of its texts among all images, by which its own hits are judged."""
        best = {target: SearchOptions(TOP_K, exact=target.query.options.exact) for target in targets}
        found = iter(self._found([(text.vector, best[target]) for target in targets for text in target.separate_texts], deadline))
        return {target: [next(found) for _ in target.separate_texts] for target in targets}

    def _ranked_to_the_page(self, targets: Sequence[Target], deadline: Deadline) -> dict[Target, list[Hit]]:
        """For each target the part of its ranking that has its page.

        It is read again at another offset if the corpus has changed much since the cursor was given.
        """
        wanted, ranked = {target: target.options for target in targets}, dict[Target, list[Hit]]()
        for _ in range(MAX_READS):
            ranked |= self._ranked(wanted, deadline)
            wanted = _asked({target: target.other_options(asked, ranked[target]) for target, asked in wanted.items()})
            if not wanted:
                break
        return ranked

    def _ranked(
        self, wanted: Mapping[Target, SearchOptions], deadline: Deadline, *, delivers: bool = True
    ) -> dict[Target, list[Hit]]:
        """The hits of each target under these options.

        Without `delivers` the hits are no part of an answer, and are not used to measure the recall of live searches.
        """
        searches = [(target.combined.vector, options) for target, options in wanted.items()]
        found = self._found(searches, deadline)
        if self._recall is not None and delivers:
            for (vector, options), hits in zip(searches, found, strict=True):
                self._recall.note(vector, options, hits)
        return dict(zip(wanted, found, strict=True))

    def _found(self, searches: Sequence[tuple[npt.NDArray[np.float32], SearchOptions]], deadline: Deadline) -> list[list[Hit]]:
        """The hits of each search, by its vector (dim,). Searches with equal options share a call."""
        together: dict[SearchOptions, list[int]] = defaultdict(list)
        for index, (_, options) in enumerate(searches):
            together[options].append(index)
        found: dict[int, list[Hit]] = {}
        for options, indices in together.items():
            vectors = np.stack([searches[index][0] for index in indices])
            found |= zip(indices, self._store.search(vectors, options, deadline), strict=True)
        return [found[index] for index in range(len(searches))]

    def _vectors_of(self, pages: Mapping[Target, Page | Fault], deadline: Deadline) -> Mapping[str, npt.NDArray[np.float32]]:
        """The vectors of the hits that are to be explained, by id; without those that were deleted meanwhile."""
        explained = {
            row.hit.record.id
            for target, page in pages.items()
            if target.query.explain and isinstance(page, Page)
            for row in page.rows
        }
        return self._store.vectors(list(explained), deadline) if explained else {}

    def _result(self, target: Target, page: Page | Fault, vectors: Mapping[str, npt.NDArray[np.float32]]) -> SearchResult | Fault:
        if isinstance(page, Fault):
            return page
        query, rows = target.query, page.rows
        if query.explain:
            rows = [replace(row, shares=target.shares(vectors.get(row.hit.record.id))) for row in rows]
        first = target.term_vectors[0]
        # Scores of several terms are no measure of what the model finds, and a page after the last hit is empty however good the
        # search was.
        if first.modality is not None and len(query.vector_terms) == 1 and query.options.offset == 0 and query.cursor is None:
            self._metrics.observe_first_page(first.modality, len(rows), page.best_score)
        return SearchResult(
            rows,
            page.more,
            first_rank=1 + target.position.before + len(target.position.ids) + query.options.offset,
            truncated=any(term_vector.truncated for term_vector in target.term_vectors),
            batch_size=max(term_vector.batch_size for term_vector in target.term_vectors),
            confident=page.confident,
            next_cursor=None if page.next is None else self._cursors.write(page.next, query, self._embedder.model.model_id),
            facets=page.facets,
            warnings=page.warnings,
        )


def _asked(wanted: Mapping[Target, SearchOptions | None]) -> dict[Target, SearchOptions]:
    """Those targets that the store is asked for."""
    return {target: options for target, options in wanted.items() if options is not None}
