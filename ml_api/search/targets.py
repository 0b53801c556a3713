"""What a query searches for, once its terms are points among the vectors, and which part of a ranking answers it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ml_api.errors import InvalidInput, MlApiError
from ml_api.records import Hit
from ml_api.search.combining import Combined, combined
from ml_api.search.cursor import BEGINNING, Place
from ml_api.search.query import Fault, Query, Term
from ml_api.search.relevance import TOP, Judged
from ml_api.vectors.base import MAX_WINDOW, SearchOptions
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
    place: Place = BEGINNING
    """Where the query's cursor leads."""

    @property
    def excluded(self) -> frozenset[str]:
        return self.query.inputs if self.query.exclude_inputs else frozenset()

    @property
    def options(self) -> SearchOptions:
        """What the store is asked for: one more than is wanted, to tell whether the ranking goes on.

        Images of the same content may come before one that is left out, so its place is known only from the ranking as a whole.
        """
        options, least = self.query.options, TOP if self.modality else 0
        if self.excluded or self.place.ids:
            wanted = max(self.place.ahead + options.window + 1, least)
            return replace(options, limit=wanted + len(self.excluded), offset=self.place.start)
        return replace(options, limit=options.limit + 1 if options.offset else max(options.limit + 1, least))

    @property
    def needs_best(self) -> bool:
        """Whether the best hits, by which all are judged, come before what `options` ask for."""
        return self.modality is not None and self.options.offset > 0

    @property
    def best_options(self) -> SearchOptions:
        return replace(self.query.options, limit=TOP, offset=0)

    def other_options(self, asked: SearchOptions, ranked: Sequence[Hit]) -> SearchOptions | None:
        """What to ask the store for once more, if the corpus has changed so much that `ranked` does not show the page."""
        start = self.place.better_start(ranked, asked.offset, asked.limit, self.query.options.limit + 1 + len(self.excluded))
        return None if start is None or start + asked.limit > MAX_WINDOW else replace(asked, offset=start)

    def best(self, ranked: Sequence[Hit]) -> list[Hit]:
        """Of a ranking from its beginning on."""
        return [hit for hit in ranked if hit.record.id not in self.excluded][:TOP]

    def shares(self, vector: npt.NDArray[np.float32] | None) -> list[float]:
        """How much each term adds to the cosine similarity of a vector (dim,); nothing, if there is none any more."""
        return [0.0] * len(self.points) if vector is None else [float(share) for share in self.combined.parts @ vector]

    def page(self, ranked: Sequence[Hit]) -> list[Hit]:
        """The hits from the query's offset on, or of those that its cursor leaves."""
        if not self.excluded and not self.place.ids:
            return list(ranked)
        new = (hit for hit, known in zip(ranked, self.place.delivered(ranked), strict=True) if not known)
        return [hit for hit in new if hit.record.id not in self.excluded][self.query.options.offset :]

    def next_place(self, page: Sequence[Hit], ranked: Sequence[Hit]) -> Place | None:
        """After `page`, of what was read of the ranking; None if no cursor leads there."""
        after = self.place.after(page, ranked)
        return None if self.query.options.offset or after.is_deepest else after


def target_of(query: Query, place: Place, points: Mapping[Term, Point | MlApiError]) -> Target | Fault:
    found: list[Point] = []
    for term, weighted in enumerate(query.terms):
        point = points[weighted.term]
        if isinstance(point, MlApiError):
            return Fault(point, term)
        found.append(point)
    try:
        vector = combined([point.vector for point in found], [one.weight for one in query.terms])
    except InvalidInput as exc:
        return Fault(exc)
    return Target(query, vector, tuple(found), place=place)


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
