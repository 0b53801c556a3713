"""What a query searches for, once its terms are points among the vectors, and which part of a ranking answers it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ml_api.errors import InvalidInput, MlApiError
from ml_api.records import Hit
from ml_api.search.combining import Combined, combined
from ml_api.search.query import Fault, Query, Term
from ml_api.search.relevance import TOP, Judged
from ml_api.vectors.base import SearchOptions
from ml_api.vocabulary import Modality


@dataclass(frozen=True, slots=True)
class Point:
    """Where a term lies among the vectors. `vector` has shape (dim,). `modality` is None if nobody knows."""

    vector: npt.NDArray[np.float32]
    modality: Modality | None
    truncated: bool = False
    batch_size: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """What a query searches for."""

    query: Query
    combined: Combined
    points: tuple[Point, ...]
    modality: Modality | None = None
    """Of the calibration that says what its scores mean; None if there is none."""

    @property
    def excluded(self) -> frozenset[str]:
        return self.query.inputs if self.query.exclude_inputs else frozenset()

    @property
    def options(self) -> SearchOptions:
        """What the store is asked for: one more than is wanted, to tell whether the ranking goes on.

        Images of the same content may come before one that is left out, so its place is known only from the ranking as a whole.
        """
        options, least = self.query.options, TOP if self.modality else 0
        if self.excluded:
            return replace(options, limit=max(options.window + 1, least) + len(self.excluded), offset=0)
        return replace(options, limit=options.limit + 1 if options.offset else max(options.limit + 1, least))

    @property
    def needs_best(self) -> bool:
        """Whether the best hits, by which all are judged, come before what `options` ask for."""
        return self.modality is not None and self.query.options.offset > 0 and not self.excluded

    @property
    def best_options(self) -> SearchOptions:
        return replace(self.query.options, limit=TOP, offset=0)

    def best(self, ranked: Sequence[Hit]) -> list[Hit]:
        """Of a ranking from its beginning on."""
        return [hit for hit in ranked if hit.record.id not in self.excluded][:TOP]

    def shares(self, vector: npt.NDArray[np.float32] | None) -> list[float]:
        """How much each term adds to the cosine similarity of a vector (dim,); nothing, if there is none any more."""
        return [0.0] * len(self.points) if vector is None else [float(share) for share in self.combined.parts @ vector]

    def page(self, ranked: Sequence[Hit]) -> list[Hit]:
        """The hits from the query's offset on."""
        if not self.excluded:
            return list(ranked)
        return [hit for hit in ranked if hit.record.id not in self.excluded][self.query.options.offset :]


def target_of(query: Query, points: Mapping[Term, Point | MlApiError]) -> Target | Fault:
    found: list[Point] = []
    for place, weighted in enumerate(query.terms):
        point = points[weighted.term]
        if isinstance(point, MlApiError):
            return Fault(point, place)
        found.append(point)
    try:
        return Target(query, combined([point.vector for point in found], [one.weight for one in query.terms]), tuple(found))
    except InvalidInput as exc:
        return Fault(exc)


def passing(target: Target, page: Sequence[Hit], judged: Judged | None) -> tuple[list[Hit], tuple[float, ...] | None]:
    """The hits of a page that pass the query's thresholds, and their relevances."""
    thresholds = target.query.thresholds
    if judged is None:
        return [hit for hit in page if thresholds.let_pass(hit.score, None)], None
    both = [pair for pair in zip(page, judged.relevances, strict=True) if thresholds.let_pass(pair[0].score, pair[1])]
    return [hit for hit, _ in both], tuple(relevance for _, relevance in both)


def goes_on(target: Target, page: Sequence[Hit], hits: Sequence[Hit]) -> bool:
    """Whether a later page may hold hits that pass: not below the least score, nor after a page of which none passed."""
    return bool(hits) and target.query.thresholds.let_score_pass(page[-1].score)
