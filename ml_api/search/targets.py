"""Targets: the vector that a query searches for, and which part of which ranking answers it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ml_api.errors import InvalidInput, MlApiError, NotFound
from ml_api.records import Hit
from ml_api.search import diversity, facets, grouping
from ml_api.search.combining import Combined, combined
from ml_api.search.cursor import BEGINNING, Place
from ml_api.search.fusion import CERTAINTY_POWER, FUSED_HITS, TextMatches
from ml_api.search.query import Fault, Query, ResultRow, StoredTerm, Term
from ml_api.search.relevance import TOP_K
from ml_api.search.rocchio import refined
from ml_api.vectors.base import MAX_WINDOW, SearchOptions
from ml_api.vocabulary import Modality, QueryKind


@dataclass(frozen=True, slots=True)
class Point:
    """The vector of a term."""

    vector: npt.NDArray[np.float32]
    """Shape (dim,), of length 1."""
    modality: Modality | None
    """None for a vector that was embedded elsewhere."""
    truncated: bool = False
    """Whether a text was longer than the model reads."""
    batch_size: int = 0
    """How many inputs went through the model with it; 0 if it was not embedded now."""


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """What is searched for to answer a query."""

    query: Query
    combined: Combined
    points: tuple[Point, ...]
    """Of its terms, in their order."""
    kind: QueryKind | None = None
    """The kind whose calibration judges its hits; None if there is none."""
    place: Place = BEGINNING
    """Where the query's cursor leads."""
    texts: TextMatches | None = None
    """The images that its words found; None if they found none. With some, the ranking is read from its beginning."""

    @property
    def excluded(self) -> frozenset[str]:
        return self.query.excluded

    @property
    def image(self) -> npt.NDArray[np.float32] | None:
        """The vector of its first term that is an image, (dim,)."""
        return next((point.vector for point in self.points if point.modality == "image"), None)

    @property
    def options(self) -> SearchOptions:
        """What the store is asked for: one hit more than is wanted, to tell whether the ranking goes on.

        Excluded images are asked for as well: which ranks they have is known only once they were found.
        """
        options, best = self.query.options, self._best_needed
        if self.query.arrangement.reorders:
            ahead = grouping.READ_AHEAD if self.query.arrangement.group else 1
            limit = min(self.least_rows * ahead, grouping.MAX_READ) + 1
            return replace(options, limit=max(limit, best, self._fusion_needs) + len(self.excluded), offset=0)
        if self.texts:
            return replace(options, limit=max(self.most_fused, self._fusion_needs, best), offset=0)
        if self.excluded or self.place.ids:
            wanted = max(self.place.ahead + options.window + 1, best)
            return replace(options, limit=wanted + len(self.excluded), offset=self.place.start)
        return replace(options, limit=options.limit + 1 if options.offset else max(options.limit + 1, best))

    @property
    def most_fused(self) -> int:
        """How many hits of a fused ranking are needed at most."""
        if self.query.arrangement.reorders:
            return MAX_WINDOW
        facets_over = facets.COUNTED_HITS if self.query.arrangement.facets else 0
        return max(self.place.ahead + self.query.options.window + 1, facets_over) + len(self.excluded)

    @property
    def least_rows(self) -> int:
        """How many rows of a reordered ranking must be known to cut out the page."""
        window = self.query.options.window + self.place.before + len(self.place.ids)
        return max(window, diversity.POOL if self.query.arrangement.diversity else 0)

    @property
    def head_options(self) -> SearchOptions | None:
        """What to ask the store for to have the best hits, too. None if they are not needed, or `options` bring them."""
        if not self._best_needed or not self.options.offset:
            return None
        return replace(self.query.options, limit=self._best_needed + len(self.excluded), offset=0)

    @property
    def unfiltered_options(self) -> SearchOptions | None:
        """What to ask the store for to have the best hits among all images, by which others are judged. None if they are not
        needed, or are the best hits anyway.
        """
        options = self.query.options
        if self.kind is None or options.filter is None:
            return None
        return replace(options, filter=None, limit=TOP_K + len(self.query.inputs), offset=0)

    @property
    def _best_needed(self) -> int:
        """How many of the best hits are needed, whatever the page."""
        if self.query.arrangement.facets:
            return facets.COUNTED_HITS
        return TOP_K + len(self.query.inputs - self.excluded) if self.kind else 0

    @property
    def _fusion_needs(self) -> int:
        """How many of the nearest hits a fusion with `texts` needs."""
        if self.texts is None:
            return 0
        return grouping.READ_AT_ONCE if self.texts.is_cut else FUSED_HITS

    def other_options(self, asked: SearchOptions, ranked: Sequence[Hit]) -> SearchOptions | None:
        """What to ask the store for once more, if the corpus has changed so much that `ranked` does not show the page.

        None if it does. A ranking that is reordered is read from its beginning anyway.
        """
        if self.query.arrangement.reorders:
            return None
        start = self.place.better_start(ranked, asked.offset, asked.limit, self.query.options.limit + 1 + len(self.excluded))
        return None if start is None or start + asked.limit > MAX_WINDOW else replace(asked, offset=start)

    def ranking(self, ranked: Sequence[Hit]) -> list[Hit]:
        """`ranked` without the excluded images."""
        return [hit for hit in ranked if hit.record.id not in self.excluded] if self.excluded else list(ranked)

    def best(self, ranked: Sequence[Hit]) -> list[Hit]:
        """The best hits of a ranking, which is given from its beginning on, but images that are terms themselves: each would be
        its own match, whether or not it is left out of the answer.
        """
        return [hit for hit in ranked if hit.record.id not in self.query.inputs][:TOP_K]

    def shares(self, vector: npt.NDArray[np.float32] | None) -> tuple[float, ...]:
        """How much each term, and each marked image, adds to the cosine similarity of a vector (dim,).

        All are 0 without a vector: its image was deleted meanwhile.
        """
        return (0.0,) * len(self.combined.parts) if vector is None else tuple((self.combined.parts @ vector).tolist())

    def page(self, ranked: Sequence[Hit]) -> list[Hit]:
        """The hits of `ranked` that no earlier page had: from the query's offset on, or after its cursor."""
        if not self.excluded and not self.place.ids and not self.texts:
            return list(ranked)
        new = [hit for hit, known in zip(ranked, self.place.delivered(ranked), strict=True) if not known]
        return self.ranking(new)[self.query.options.offset :]

    def next_place(self, page: Sequence[Hit], ranked: Sequence[Hit]) -> Place | None:
        """Where the page after `page` begins; None if no cursor leads there. `ranked` is the part of the ranking that was read."""
        after = self.place.after(page, ranked)
        if self.texts and after.before:  # scores, by which deeper places are known, do not order this ranking
            return None
        return None if self.query.options.offset or after.is_deepest else after

    def certainties(self, hits: Sequence[Hit]) -> npt.NDArray[np.float64] | float:
        """How certainly the words mean each hit, shape (hits,); 0 where words do not decide the order."""
        if self.texts is None or self.texts.only:
            return 0.0
        return np.array([hit.match.certainty if hit.match else 0.0 for hit in hits]) ** CERTAINTY_POWER


def target_of(
    query: Query, place: Place, points: Mapping[Term, Point | MlApiError], texts: TextMatches | None = None
) -> Target | Fault:
    found: list[Point] = []
    for term, weighted in enumerate(query.terms):
        point = points[weighted.term]
        if isinstance(point, MlApiError):
            return Fault(point, term)
        found.append(point)
    try:
        asked = combined([point.vector for point in found], [one.weight for one in query.terms])
        more, less = _vectors("more_like", query.marks.more, points), _vectors("less_like", query.marks.less, points)
        vector = refined(asked, more, less)
    except (InvalidInput, NotFound) as exc:
        return Fault(exc)
    return Target(query, vector, tuple(found), place=place, texts=None if place.before else texts)


def _vectors(name: str, marks: Sequence[StoredTerm], points: Mapping[Term, Point | MlApiError]) -> list[npt.NDArray[np.float32]]:
    """The vectors of the marked images of the list with this name. Raises NotFound, which names the list."""
    vectors = []
    for place, mark in enumerate(marks):
        point = points[mark]
        if isinstance(point, MlApiError):
            raise NotFound(f"{name}[{place}]: {point.detail}") from point
        vectors.append(point.vector)
    return vectors


def passing(target: Target, hits: Sequence[Hit], relevances: Sequence[float | None]) -> list[ResultRow]:
    """The hits that pass the query's thresholds, with their relevances."""
    thresholds = target.query.thresholds
    rows = (ResultRow(hit, relevance) for hit, relevance in zip(hits, relevances, strict=True))
    return [row for row in rows if thresholds.let_pass(row.hit.score, row.relevance)]


def goes_on(target: Target, page: Sequence[Hit], rows: Sequence[ResultRow]) -> bool:
    """Whether a later page may have hits that pass the thresholds: scores fall, and so does relevance, so that none follows a page
    of which none passed. Words change that order: hits that they moved up may come before more relevant ones.
    """
    is_moved = target.texts is not None and not target.texts.only and any(hit.match for hit in page)
    return (bool(rows) or is_moved) and may_pass(target, page)


def may_pass(target: Target, hits: Sequence[Hit]) -> bool:
    """Whether hits that follow these in the ranking may pass the threshold of scores. The score of a hit that words found says
    nothing about the next one.
    """
    last = next((hit for hit in reversed(hits) if hit.match is None), None)
    return last is None or target.query.thresholds.let_score_pass(last.score)
