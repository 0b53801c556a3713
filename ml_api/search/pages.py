"""Cuts the page that answers a query out of its ranking, for `searcher`: thresholds, groups, diversity, sorting and facets are
applied here."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ml_api.deadline import Deadline
from ml_api.errors import InvalidQuery
from ml_api.records import Hit
from ml_api.search.cursor import Position
from ml_api.search.diversity import POOL, diversified
from ml_api.search.facets import COUNTED_HITS, Facets, counted, require_known
from ml_api.search.fields import OverviewCache
from ml_api.search.grouping import DUPLICATES, MAX_READ, READ_AT_ONCE, leaders
from ml_api.search.query import Fault, ResultRow
from ml_api.search.relevance import CONFIDENT, Calibrations, Estimator
from ml_api.search.sorting import SORTED, in_order
from ml_api.search.targets import CONFIDENCE_HITS, Target, goes_on, passing
from ml_api.search.texts_relevance import TextPart, TextsEstimator, importances
from ml_api.search.unfulfilled import warnings_on
from ml_api.vectors.base import VectorStore
from ml_api.vectors.filters import Field, value_of


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a ranking."""

    rows: list[ResultRow]
    more: bool
    """Whether another page follows."""
    next: Position | None = None
    """Where the next page begins; None if no cursor leads there."""
    confident: bool | None = None
    best_score: float | None = None
    """The score of the nearest image, whether or not it is on the page."""
    facets: Facets | None = None
    warnings: tuple[str, ...] = ()
    """What is likely to be wrong with a filter that no image fulfils."""


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """The hits that were read from the store for a target."""

    part: Sequence[Hit]
    """The part of its ranking, fused with the matches of its words, that the page is cut from."""
    head: Sequence[Hit]
    """The beginning of its ranking by vectors."""
    unfiltered: Sequence[Hit]
    """The beginning of the ranking of all images, without its filter."""
    of_texts: Sequence[Sequence[Hit]] = ()
    """The best hits among all images of each of its texts, if each is judged alone."""


class Pages:
    """Cuts pages out of rankings. Thread-safe."""

    def __init__(self, store: VectorStore, fields: OverviewCache, calibrations: Calibrations | None) -> None:
        self._store = store
        self._fields = fields
        self._calibrations = calibrations

    def page(self, target: Target, read: Read, deadline: Deadline) -> Page | Fault:
        """Return the page of a target. Raises Unavailable, DeadlineExceeded."""
        estimator = self._estimator(target, read, deadline)
        try:
            if target.query.arrangement.reorders:
                page = self._arranged(target, read.part, estimator, deadline)
            else:
                page = _as_ranked(target, read.part, estimator)
            facets = self._facets(target, read.part if target.texts else read.head, estimator, deadline)
        except InvalidQuery as exc:
            return Fault(exc)
        warnings = () if read.head else self._warnings(target, deadline)
        nearest = target.ranking(read.head)
        confident = None if estimator is None else self._is_confident(target, read, estimator, deadline)
        best_score = nearest[0].score if nearest else None
        return replace(page, facets=facets, confident=confident, best_score=best_score, warnings=warnings)

    def _estimator(self, target: Target, read: Read, deadline: Deadline) -> Estimator | TextsEstimator | None:
        """None where nothing is calibrated."""
        if self._calibrations is None or target.kind is None:
            return None
        if not target.separate_texts:
            return self._calibrations.estimator(target.kind, target.combined.vector, target.best(read.unfiltered), target.image)
        weights, texts = [one.weight for one in target.query.terms], list[TextPart]()
        surest = target.texts.surest_by_term if target.texts else [0.0] * len(weights)
        judged = zip(target.separate_texts, read.of_texts, weights, importances(weights), surest, strict=True)
        for index, (text, best, weight, importance, sure) in enumerate(judged):
            alone = self._calibrations.estimator("text", text.vector, best)
            if alone is None:  # no longer calibrated
                return None
            named = {hit.record.id: hit.match.by_term[index] for hit in read.part if hit.match}
            texts.append(TextPart(alone, text.vector, weight > 0, importance, named, sure))
        return TextsEstimator(texts, lambda ids: self._store.vectors(ids, deadline))

    def _is_confident(self, target: Target, read: Read, estimator: Estimator | TextsEstimator, deadline: Deadline) -> bool:
        """Whether an image that fulfils the filter is likely to be a match: one that words name, or any of the nearest.

        Relevance does not fall from rank to rank. If the nearest images do not decide, the CONFIDENCE_HITS best hits are read, the
        same for every page, so that all pages agree; of the images that words name, each page knows those that it has read. With
        `match=text`, only images with all the words count.
        """
        if target.texts and target.texts.only:
            return _is_any_likely(estimator, target.best(target.ranking(read.part), CONFIDENCE_HITS))
        named = [hit for hit in target.ranking(read.part) if hit.match and max(hit.match.by_term) >= CONFIDENT]
        if max((*estimator.relevances(named), estimator.any_match(target.best(read.head)))) >= CONFIDENT:
            return True
        if estimator.upper_bound < CONFIDENT:
            return False
        options = replace(target.query.options, limit=CONFIDENCE_HITS + len(target.query.inputs), offset=0)
        [hits] = self._store.search(target.combined.vector[None, :], options, deadline)
        return _is_any_likely(estimator, target.best(hits, CONFIDENCE_HITS))

    def _arranged(
        self, target: Target, ranked: Sequence[Hit], estimator: Estimator | TextsEstimator | None, deadline: Deadline
    ) -> Page:
        """The page of a ranking that is grouped or diversified. Reads more hits while there are too few groups for the page."""
        requested, options = target.query.options, target.options
        read, ends = list(ranked), len(ranked) < options.limit or bool(target.texts and target.texts.only)
        latest: Sequence[Hit] = read
        while True:
            hits = target.ranking(read)
            passed = passing(target, hits, _relevances(estimator, hits))
            rows = self._grouped(target, passed, deadline)
            if len(rows) > target.least_rows or ends or len(read) >= MAX_READ or not _may_go_on(target, latest, passed):
                break
            options = replace(options, offset=options.window, limit=min(READ_AT_ONCE, MAX_READ - len(read)))
            [further] = self._store.search(target.combined.vector[None, :], options, deadline)
            ends, known = len(further) < options.limit, {hit.record.id for hit in read}
            latest = [hit for hit in further if hit.record.id not in known]  # an approximate index may rank hits in another order
            read += latest
        left = _not_delivered(target, self._reordered(target, rows, deadline))
        page, more = left[requested.offset : requested.window], len(left) > requested.window
        return Page(page, more, next=target.next_position([row.hit for row in page], read) if more else None)

    def _grouped(self, target: Target, rows: list[ResultRow], deadline: Deadline) -> list[ResultRow]:
        group = target.query.arrangement.group
        if group is None:
            return rows
        hits = [row.hit for row in rows]
        if group != DUPLICATES:
            self._require_known(group, "group", hits, deadline)
        others: dict[int, list[Hit]] = {}
        for index, leader in enumerate(leaders(hits, group, lambda ids: self._store.vectors(ids, deadline))):
            others.setdefault(leader, [])
            if leader != index:
                others[leader].append(hits[index])
        return [replace(rows[leader], others=tuple(led)) for leader, led in others.items()]

    def _reordered(self, target: Target, rows: list[ResultRow], deadline: Deadline) -> list[ResultRow]:
        arrangement = target.query.arrangement
        if arrangement.sort is not None:
            self._require_known(arrangement.sort.field, "sort", [row.hit for row in rows], deadline)
            return in_order(rows[:SORTED], arrangement.sort)
        return self._diversified(target, rows, arrangement.diversity, deadline) if arrangement.diversity else rows

    def _diversified(self, target: Target, rows: list[ResultRow], diversity: float, deadline: Deadline) -> list[ResultRow]:
        vectors = self._store.vectors([row.hit.record.id for row in rows[:POOL]], deadline)
        pool = [row for row in rows[:POOL] if row.hit.record.id in vectors]  # the others were deleted meanwhile
        if not pool:
            return rows[POOL:]
        stacked = np.stack([vectors[row.hit.record.id] for row in pool])
        order = diversified(stacked @ target.combined.vector, stacked, diversity, target.certainties([row.hit for row in pool]))
        return [*(pool[index] for index in order), *rows[POOL:]]

    def _facets(
        self, target: Target, best: Sequence[Hit], estimator: Estimator | TextsEstimator | None, deadline: Deadline
    ) -> Facets | None:
        """The facets of the query, counted over the best hits that pass the thresholds, or over their groups."""
        fields = target.query.arrangement.facets
        if not fields:
            return None
        hits = target.ranking(best)[:COUNTED_HITS]
        needed = estimator if target.query.thresholds.relevance is not None else None
        passed = passing(target, hits, _relevances(needed, hits))
        for index, field in enumerate(fields):
            self._require_known(field, f"facets[{index}]", [row.hit for row in passed], deadline)
        return counted([(row.hit, *row.others) for row in self._grouped(target, passed, deadline)], fields)

    def _warnings(self, target: Target, deadline: Deadline) -> tuple[str, ...]:
        """The warnings on the query's filter, if it lets no image through: a later page may be empty for other reasons."""
        options = target.query.options
        if options.filter is None or options.offset or target.query.cursor is not None:
            return ()
        return warnings_on(options.filter, self._fields.overview, deadline)

    def _require_known(self, field: Field, where: str, hits: Sequence[Hit], deadline: Deadline) -> None:
        if all(value_of(hit.record, field) is None for hit in hits):
            require_known(field, self._fields.overview(deadline), where)


def _as_ranked(target: Target, ranked: Sequence[Hit], estimator: Estimator | TextsEstimator | None) -> Page:
    limit, page = target.query.options.limit, target.page(ranked)
    hits = page[:limit]
    rows = passing(target, hits, _relevances(estimator, hits))
    more = len(page) > limit and goes_on(target, hits, rows)
    return Page(rows, more, next=target.next_position(hits, ranked) if more else None)


def _may_go_on(target: Target, latest: Sequence[Hit], passed: Sequence[ResultRow]) -> bool:
    """Whether hits after the `latest` that were read may pass the thresholds, given all that have `passed`."""
    ids = {hit.record.id for hit in latest}
    return not latest or goes_on(target, latest, [row for row in passed if row.hit.record.id in ids])


def _not_delivered(target: Target, rows: list[ResultRow]) -> list[ResultRow]:
    """The rows that no earlier page had. A group is left out if an earlier page had any of its images.

    Rows after the reordered ones are in the order of their scores, as cursors expect.
    """
    position = target.position
    delivered = position.delivered([row.hit for row in rows])
    pairs = zip(rows, delivered, strict=True)
    return [row for row, is_delivered in pairs if not (is_delivered or any(map(position.remembers, row.others)))]


def _is_any_likely(estimator: Estimator | TextsEstimator, hits: Sequence[Hit]) -> bool:
    return max(estimator.relevances(hits), default=0.0) >= CONFIDENT


def _relevances(estimator: Estimator | TextsEstimator | None, hits: Sequence[Hit]) -> Sequence[float | None]:
    """The relevance of each hit; None without a `estimator`."""
    return [None] * len(hits) if estimator is None else estimator.relevances(hits)
