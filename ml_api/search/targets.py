"""Determines, for `searcher`, the vector that a query searches for, which part of which ranking to request from the store, and
which hits of it the page has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from ml_api.errors import InvalidInput, MlApiError, NotFound
from ml_api.records import Hit
from ml_api.search import diversity, facets, grouping, sorting
from ml_api.search.combining import Combined, combined
from ml_api.search.cursor import START, Position
from ml_api.search.fusion import CERTAINTY_POWER, FUSED_HITS, TextMatches
from ml_api.search.query import Fault, Query, ResultRow, StoredTerm, Term
from ml_api.search.relevance import TOP_K
from ml_api.search.rocchio import refined
from ml_api.search.term_vectors import TermVector
from ml_api.vectors.base import MAX_WINDOW, SearchOptions
from ml_api.vocabulary import QueryKind

CONFIDENCE_HITS: Final = 100
"""The best hits that are judged where it is open whether any is likely to be a match."""
STEADY: Final = 100
"""Beyond so many ranks of a query of several texts, hits are taken to become less relevant: each text is judged alone, and the
ranking is that of their sum."""


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A query with the vector to search for, and where its page begins."""

    query: Query
    combined: Combined
    term_vectors: tuple[TermVector, ...]
    """The vectors of its terms, in their order."""
    kind: QueryKind | None = None
    """The kind of query whose calibration judges its hits; None if there is no calibration for it."""
    position: Position = START
    """Where the query's cursor leads."""
    texts: TextMatches | None = None
    """The images that its words found; None if there are none. With some, the ranking is read from its beginning."""

    @property
    def excluded(self) -> frozenset[str]:
        return self.query.excluded

    @property
    def image(self) -> npt.NDArray[np.float32] | None:
        """The vector of its first term that is an image, (dim,); None without such a term."""
        return next((term_vector.vector for term_vector in self.term_vectors if term_vector.modality == "image"), None)

    @property
    def separate_texts(self) -> tuple[TermVector, ...]:
        """Its texts, where these are several and each is judged alone; none otherwise."""
        return self.term_vectors if self.kind == "text" and len(self.term_vectors) > 1 else ()

    @property
    def last_rank(self) -> int:
        """The rank of the last hit of its page, in the whole ranking."""
        return self.position.before + len(self.position.ids) + self.query.options.window

    @property
    def options(self) -> SearchOptions:
        """The options of the search: one hit more than the page has, to tell whether the ranking goes on.

        Hits are added for excluded images, as their ranks are known only after the search.
        """
        options, best = self.query.options, self._best_needed
        if self.query.arrangement.reorders:
            ahead = grouping.READ_AHEAD if self.query.arrangement.group else 1
            limit = min(self.least_rows * ahead, grouping.MAX_READ) + 1
            return replace(options, limit=max(limit, best, self._fusion_needs) + len(self.excluded), offset=0)
        if self.texts:
            return replace(options, limit=max(self.most_fused, self._fusion_needs, best), offset=0)
        if self.excluded or self.position.ids:
            needed = max(self.position.ahead + options.window + 1, best)
            return replace(options, limit=needed + len(self.excluded), offset=self.position.start)
        return replace(options, limit=options.limit + 1 if options.offset else max(options.limit + 1, best))

    @property
    def most_fused(self) -> int:
        """The most hits of a fused ranking that are needed."""
        if self.query.arrangement.reorders:
            return MAX_WINDOW
        facets_over = facets.COUNTED_HITS if self.query.arrangement.facets else 0
        judged = CONFIDENCE_HITS + len(self.query.inputs) if self.texts and self.texts.only and self.kind else 0
        return max(self.position.ahead + self.query.options.window + 1, facets_over, judged) + len(self.excluded)

    @property
    def least_rows(self) -> int:
        """How many rows of a reordered ranking must be known to cut out the page."""
        if self.query.arrangement.sort:
            return sorting.SORTED
        return max(self.last_rank, diversity.POOL if self.query.arrangement.diversity else 0)

    @property
    def head_options(self) -> SearchOptions | None:
        """The options of a further search for the best hits; None if they are not needed, or the search by `options` has them."""
        if not self._best_needed or not self.options.offset:
            return None
        return replace(self.query.options, limit=self._best_needed + len(self.excluded), offset=0)

    @property
    def unfiltered_options(self) -> SearchOptions | None:
        """The options of a further search for the best hits among all images, by which relevance is judged; None if they are not
        needed, or the query has no filter.
        """
        options = self.query.options
        if self.kind is None or self.separate_texts or options.filter is None:
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

    def other_options(self, previous: SearchOptions, ranked: Sequence[Hit]) -> SearchOptions | None:
        """The options of another search, if the corpus has changed so much that `ranked`, the hits of the search by `previous`,
        does not include the page; None if it does. A reordered ranking is read from its beginning anyway.
        """
        if self.query.arrangement.reorders:
            return None
        needed = self.query.options.limit + 1 + len(self.excluded)
        start = self.position.better_start(ranked, previous.offset, previous.limit, needed)
        return None if start is None or start + previous.limit > MAX_WINDOW else replace(previous, offset=start)

    def ranking(self, ranked: Sequence[Hit]) -> list[Hit]:
        """`ranked` without the excluded images."""
        return [hit for hit in ranked if hit.record.id not in self.excluded] if self.excluded else list(ranked)

    def best(self, ranked: Sequence[Hit], most: int = TOP_K) -> list[Hit]:
        """The `most` best hits of `ranked`, the beginning of a ranking, without images that are terms: each would match itself,
        whether or not the answer leaves it out.
        """
        return [hit for hit in ranked if hit.record.id not in self.query.inputs][:most]

    def shares(self, vector: npt.NDArray[np.float32] | None) -> tuple[float, ...]:
        """How much each term that was sent, and then each marked image, adds to the cosine similarity of a vector (dim,) with the
        query. All are 0 if `vector` is None, as its image was deleted meanwhile.
        """
        places, parts = self.query.places, self.combined.parts
        marked = range(places[-1] + 1, places[-1] + 1 + len(parts) - len(places))
        shares = np.zeros(len(parts)) if vector is None else parts @ vector
        return tuple(np.bincount([*places, *marked], weights=shares).tolist())

    def page(self, ranked: Sequence[Hit]) -> list[Hit]:
        """The hits of `ranked` that no earlier page had: from the query's offset on, or after its cursor."""
        if not self.excluded and not self.position.ids and not self.texts:
            return list(ranked)
        new = [hit for hit, known in zip(ranked, self.position.delivered(ranked), strict=True) if not known]
        return self.ranking(new)[self.query.options.offset :]

    def next_position(self, page: Sequence[Hit], ranked: Sequence[Hit]) -> Position | None:
        """Where the page after `page` begins; None if no cursor leads there. `ranked` is the part of the ranking that was read."""
        after = self.position.after(page, ranked)
        if self.texts and after.before:  # deeper positions are found by scores, which do not order this ranking
            return None
        return None if self.query.options.offset or after.is_deepest else after

    def certainties(self, hits: Sequence[Hit]) -> npt.NDArray[np.float64] | float:
        """How certainly the query's words name each hit, shape (hits,); 0 where words do not decide the order."""
        if self.texts is None or self.texts.only:
            return 0.0
        return np.array([hit.match.certainty if hit.match else 0.0 for hit in hits]) ** CERTAINTY_POWER


def build_target(
    query: Query, position: Position, term_vectors: Mapping[Term, TermVector | MlApiError], texts: TextMatches | None = None
) -> Target | Fault:
    """The target of a query whose page begins at `position`; a Fault if a term has no vector, or terms cannot be combined."""
    of_terms: list[TermVector] = []
    for number, weighted in enumerate(query.terms):
        term_vector = term_vectors[weighted.term]
        if isinstance(term_vector, MlApiError):
            return Fault(term_vector, query.places[number])
        of_terms.append(term_vector)
    try:
        terms = combined([term_vector.vector for term_vector in of_terms], [weighted.weight for weighted in query.terms])
        more, less = _vectors("more_like", query.marks.more, term_vectors), _vectors("less_like", query.marks.less, term_vectors)
        vector = refined(terms, more, less)
    except (InvalidInput, NotFound) as exc:
        return Fault(exc)
    return Target(query, vector, tuple(of_terms), position=position, texts=None if position.before else texts)


def _vectors(
    name: str, marks: Sequence[StoredTerm], term_vectors: Mapping[Term, TermVector | MlApiError]
) -> list[npt.NDArray[np.float32]]:
    """The vectors of marked images. Raises NotFound for one that is not stored, which names its index in the list `name`."""
    vectors = []
    for index, mark in enumerate(marks):
        term_vector = term_vectors[mark]
        if isinstance(term_vector, MlApiError):
            raise NotFound(f"{name}[{index}]: {term_vector.detail}") from term_vector
        vectors.append(term_vector.vector)
    return vectors


def passing(target: Target, hits: Sequence[Hit], relevances: Sequence[float | None]) -> list[ResultRow]:
    """The hits that pass the query's thresholds, with their relevances."""
    thresholds = target.query.thresholds
    rows = (ResultRow(hit, relevance) for hit, relevance in zip(hits, relevances, strict=True))
    return [row for row in rows if thresholds.let_pass(row.hit.score, row.relevance)]


def goes_on(target: Target, page: Sequence[Hit], rows: Sequence[ResultRow]) -> bool:
    """Whether a later page may have hits that pass the thresholds. Scores and relevance fall, so none follows a page without such a
    hit, unless words moved hits up before more relevant ones; of several texts, relevance falls over many ranks only.
    """
    is_moved = target.texts is not None and not target.texts.only and any(hit.match for hit in page)
    may_rise = bool(target.separate_texts) and target.last_rank < STEADY
    return (bool(rows) or is_moved or may_rise) and may_pass(target, page)


def may_pass(target: Target, hits: Sequence[Hit]) -> bool:
    """Whether hits that follow these in the ranking may pass the score threshold. Hits that words found do not count, as their
    scores are not in order.
    """
    last = next((hit for hit in reversed(hits) if hit.match is None), None)
    return last is None or target.query.thresholds.let_score_pass(last.score)
