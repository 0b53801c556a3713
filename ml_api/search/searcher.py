"""Queries on their way: each term becomes a point among the vectors, the points of a query one vector, and that its hits.

Queries that come together share every step: one lookup of stored images, one wait for the model, one call of the store for each
set of equal options. A single query is a list of one.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Final

import numpy as np
import numpy.typing as npt

from ml_api import stages
from ml_api.deadline import Deadline
from ml_api.embedding.base import Embedded, Embedder, Prepared, Preprocessor
from ml_api.errors import InvalidInput, InvalidQuery, MlApiError, NonFiniteVector, NotFound
from ml_api.metrics import Metrics
from ml_api.records import Hit
from ml_api.search.combining import Combined, combined
from ml_api.search.query import Fault, ImageTerm, Query, SearchResult, StoredTerm, Term, TextTerm, VectorTerm
from ml_api.stages import stage
from ml_api.vectors.base import SearchOptions, VectorStore
from ml_api.vocabulary import Modality, Stage

OWN_FAULTS: Final = (InvalidInput, NotFound, NonFiniteVector)
"""Errors that say something of one query, not of those beside it."""


@dataclass(frozen=True, slots=True)
class _Point:
    """Where a term lies among the vectors. `vector` has shape (dim,). `modality` is None if nobody knows."""

    vector: npt.NDArray[np.float32]
    modality: Modality | None
    truncated: bool = False
    batch_size: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class _Target:
    """What a query searches for."""

    query: Query
    combined: Combined
    points: tuple[_Point, ...]

    @property
    def excluded(self) -> frozenset[str]:
        return self.query.inputs if self.query.exclude_inputs else frozenset()

    @property
    def options(self) -> SearchOptions:
        """What the store is asked for: one more than is wanted, to tell whether the ranking goes on.

        Images of the same content may come before one that is left out, so its place is known only from the ranking as a whole.
        """
        options = self.query.options
        if not self.excluded:
            return replace(options, limit=options.limit + 1)
        return replace(options, limit=options.window + 1 + len(self.excluded), offset=0)

    def shares(self, vector: npt.NDArray[np.float32] | None) -> list[float]:
        """How much each term adds to the cosine similarity of a vector (dim,); nothing, if there is none any more."""
        return [0.0] * len(self.points) if vector is None else [float(share) for share in self.combined.parts @ vector]

    def page(self, ranked: Sequence[Hit]) -> list[Hit]:
        """The hits from the query's offset on."""
        if not self.excluded:
            return list(ranked)
        return [hit for hit in ranked if hit.record.id not in self.excluded][self.query.options.offset :]


class Searcher:
    def __init__(self, preprocessor: Preprocessor, embedder: Embedder, store: VectorStore, metrics: Metrics) -> None:
        self._preprocessor = preprocessor
        self._embedder = embedder
        self._store = store
        self._metrics = metrics.search

    def search(self, query: Query, deadline: Deadline) -> SearchResult:
        """Raises InvalidQuery, NotFound, Overloaded, Unavailable, DeadlineExceeded."""
        [result] = self.search_all([query], deadline)
        if isinstance(result, Fault):
            raise result.error
        return result

    def search_all(self, queries: Sequence[Query], deadline: Deadline) -> list[SearchResult | Fault]:
        """One result a query, or what was wrong with that one. Raises what concerns them all: Overloaded, Unavailable,
        DeadlineExceeded.
        """
        points = self._points(dict.fromkeys(weighted.term for query in queries for weighted in query.terms), deadline)
        targets = [_target(query, points) for query in queries]
        with stage(Stage.SEARCH):
            pages = self._pages([target for target in targets if isinstance(target, _Target)], deadline)
            vectors = self._vectors_of(pages, deadline)
        return [target if isinstance(target, Fault) else self._result(target, pages[target], vectors) for target in targets]

    def _points(self, terms: Iterable[Term], deadline: Deadline) -> Mapping[Term, _Point | MlApiError]:
        points: dict[Term, _Point | MlApiError] = {}
        to_embed: dict[Term, Prepared] = {}
        stored: list[StoredTerm] = []
        for term in terms:
            match term:
                case StoredTerm():
                    stored.append(term)
                case VectorTerm(numbers):
                    points[term] = self._given(numbers)
                case TextTerm() | ImageTerm():
                    try:
                        with stage(Stage.PREPARE):
                            to_embed[term] = self._prepared(term)
                    except MlApiError as exc:
                        points[term] = _own(exc)
        by_modality = dict(sorted(to_embed.items(), key=lambda item: item[1].modality))  # so that passes are full
        return points | self._looked_up(stored, deadline) | self._embedded(by_modality, deadline)

    def _prepared(self, term: TextTerm | ImageTerm) -> Prepared:
        if isinstance(term, TextTerm):
            return self._preprocessor.prepare_text(term.text)
        return self._preprocessor.prepare_image(term.pixels)

    def _given(self, numbers: Sequence[float]) -> _Point | InvalidQuery:
        dim = self._embedder.model.dim
        if len(numbers) != dim:
            return InvalidQuery(f"has {len(numbers):,} numbers; the model's vectors have {dim:,}")
        vector = np.array(numbers, dtype=np.float64)
        if not vector.any():
            return InvalidQuery("has no direction: all its numbers are 0")
        vector /= np.abs(vector).max()  # the largest numbers cannot be squared
        return _Point((vector / np.linalg.norm(vector)).astype(np.float32), None)

    def _looked_up(self, terms: Sequence[StoredTerm], deadline: Deadline) -> dict[Term, _Point | MlApiError]:
        if not terms:
            return {}
        with stage(Stage.SEARCH):
            vectors = self._store.vectors([term.image_id for term in terms], deadline)
        return {
            term: _Point(vectors[term.image_id], "image")
            if term.image_id in vectors
            else NotFound(f"no image has the id {term.image_id}")
            for term in terms
        }

    def _embedded(self, items: Mapping[Term, Prepared], deadline: Deadline) -> dict[Term, _Point | MlApiError]:
        """All in one wait."""
        if not items:
            return {}
        started = perf_counter()
        try:
            answers = self._embedder.embed_all(items.values(), deadline.left_s())
        except MlApiError:
            stages.took(Stage.QUEUE, perf_counter() - started)  # no pass came to its end, so all of it was waiting
            raise
        done = [answer for answer in answers if isinstance(answer, Embedded)]
        # They waited side by side: the longest wait and the longest pass are the request's own.
        stages.took(Stage.QUEUE, max((one.queue_s for one in done), default=perf_counter() - started))
        stages.took(Stage.EMBED, max((one.embed_s for one in done), default=0.0))
        return {term: _point(items[term], answer) for term, answer in zip(items, answers, strict=True)}

    def _pages(self, targets: Sequence[_Target], deadline: Deadline) -> dict[_Target, list[Hit]]:
        """Of each target, what the store ranks for it from its offset on. Those with equal options share a call."""
        together: dict[SearchOptions, list[_Target]] = defaultdict(list)
        for target in targets:
            together[target.options].append(target)
        pages: dict[_Target, list[Hit]] = {}
        for options, some in together.items():
            ranked = self._store.search(np.stack([target.combined.vector for target in some]), options, deadline)
            pages |= {target: target.page(hits) for target, hits in zip(some, ranked, strict=True)}
        return pages

    def _vectors_of(self, pages: Mapping[_Target, Sequence[Hit]], deadline: Deadline) -> Mapping[str, npt.NDArray[np.float32]]:
        """The vectors of the hits that are to be explained, by id. Those that were deleted meanwhile are absent."""
        explained = {
            hit.record.id for target, page in pages.items() if target.query.explain for hit in page[: target.query.options.limit]
        }
        return self._store.vectors(list(explained), deadline) if explained else {}

    def _result(self, target: _Target, page: Sequence[Hit], vectors: Mapping[str, npt.NDArray[np.float32]]) -> SearchResult:
        options = target.query.options
        hits = list(page[: options.limit])
        [first, *others] = target.points
        # Scores of several terms are no measure of what the model finds, and a page after the last hit is empty however good the
        # search was.
        if first.modality is not None and not others and options.offset == 0:
            self._metrics.found(first.modality, [hit.score for hit in hits])
        return SearchResult(
            hits,
            len(page) > options.limit,
            truncated=any(point.truncated for point in target.points),
            batch_size=max(point.batch_size for point in target.points),
            shares=[target.shares(vectors.get(hit.record.id)) for hit in hits] if target.query.explain else None,
        )


def _own(error: MlApiError) -> MlApiError:
    """An error that concerns one query alone; any other is raised."""
    if not isinstance(error, OWN_FAULTS):
        raise error
    return error


def _point(prepared: Prepared, embedded: Embedded | MlApiError) -> _Point | MlApiError:
    if isinstance(embedded, MlApiError):
        return _own(embedded)
    return _Point(embedded.vector, prepared.modality, prepared.truncated, embedded.batch_size)


def _target(query: Query, points: Mapping[Term, _Point | MlApiError]) -> _Target | Fault:
    found: list[_Point] = []
    for place, weighted in enumerate(query.terms):
        point = points[weighted.term]
        if isinstance(point, MlApiError):
            return Fault(point, place)
        found.append(point)
    try:
        return _Target(query, combined([point.vector for point in found], [one.weight for one in query.terms]), tuple(found))
    except InvalidInput as exc:
        return Fault(exc)
