"""Queries on their way: each term becomes a point among the vectors, the points of a query one vector, and that its hits.

Queries that come together share every step: one lookup of stored images, one wait for the model, one call of the store for each
set of equal options. A single query is a list of one.
"""

import math
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
from ml_api.search.combining import combined
from ml_api.search.query import ImageTerm, Query, SearchResult, StoredTerm, Term, TextTerm, VectorTerm
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


@dataclass(frozen=True, slots=True)
class _Target:
    """What a query searches for. `vector` has shape (dim,)."""

    query: Query
    vector: npt.NDArray[np.float32]
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
        if isinstance(result, MlApiError):
            raise result
        return result

    def search_all(self, queries: Sequence[Query], deadline: Deadline) -> list[SearchResult | MlApiError]:
        """One result a query, or what was wrong with that one. Raises what concerns them all: Overloaded, Unavailable,
        DeadlineExceeded.
        """
        points = self._points(dict.fromkeys(weighted.term for query in queries for weighted in query.terms), deadline)
        targets = [_target(query, points) for query in queries]
        with stage(Stage.SEARCH):
            ranked = self._ranked([target for target in targets if isinstance(target, _Target)], deadline)
        return [target if isinstance(target, MlApiError) else self._result(target, ranked[id(target)]) for target in targets]

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
        return points | self._looked_up(stored, deadline) | self._embedded(to_embed, deadline)

    def _prepared(self, term: TextTerm | ImageTerm) -> Prepared:
        if isinstance(term, TextTerm):
            return self._preprocessor.prepare_text(term.text)
        return self._preprocessor.prepare_image(term.pixels)

    def _given(self, numbers: Sequence[float]) -> _Point | InvalidQuery:
        dim = self._embedder.model.dim
        if len(numbers) != dim:
            return InvalidQuery(f"vector: has {len(numbers)} numbers; the model's vectors have {dim}")
        vector = np.array(numbers, dtype=np.float64)
        length = float(np.linalg.norm(vector))
        if not 0 < length < math.inf:
            return InvalidQuery("vector: must hold finite numbers that are not all 0, as only its direction counts")
        return _Point((vector / length).astype(np.float32), None)

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
            answers = self._embedder.embed_all(list(items.values()), deadline.left_s())
        except MlApiError:
            stages.took(Stage.QUEUE, perf_counter() - started)  # no pass came to its end, so all of it was waiting
            raise
        done = [answer for answer in answers if isinstance(answer, Embedded)]
        # They waited side by side: the longest wait and the longest pass are the request's own.
        stages.took(Stage.QUEUE, max((one.queue_s for one in done), default=perf_counter() - started))
        stages.took(Stage.EMBED, max((one.embed_s for one in done), default=0.0))
        return {term: _point(items[term], answer) for term, answer in zip(items, answers, strict=True)}

    def _ranked(self, targets: Sequence[_Target], deadline: Deadline) -> dict[int, list[Hit]]:
        """By the identity of each target, what the store ranks for it. Those with equal options share a call."""
        together: dict[SearchOptions, list[_Target]] = defaultdict(list)
        for target in targets:
            together[target.options].append(target)
        ranked: dict[int, list[Hit]] = {}
        for options, some in together.items():
            found = self._store.search(np.stack([target.vector for target in some]), options, deadline)
            ranked |= {id(target): hits for target, hits in zip(some, found, strict=True)}
        return ranked

    def _result(self, target: _Target, ranked: Sequence[Hit]) -> SearchResult:
        options, page = target.query.options, target.page(ranked)
        hits = page[: options.limit]
        modalities = {point.modality for point in target.points}
        if options.offset == 0 and len(modalities) == 1:  # a page after the last hit is empty however good the search was
            for modality in modalities - {None}:
                self._metrics.found(str(modality), [hit.score for hit in hits])
        return SearchResult(
            hits,
            len(page) > options.limit,
            truncated=any(point.truncated for point in target.points),
            batch_size=max(point.batch_size for point in target.points),
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


def _target(query: Query, points: Mapping[Term, _Point | MlApiError]) -> _Target | MlApiError:
    found: list[_Point] = []
    for weighted in query.terms:
        point = points[weighted.term]
        if isinstance(point, MlApiError):
            return point
        found.append(point)
    try:
        vector = combined([point.vector for point in found], [weighted.weight for weighted in query.terms])
    except InvalidInput as exc:
        return exc
    return _Target(query, vector, tuple(found))
