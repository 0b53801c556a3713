"""Pages: the part of a ranking that answers a query, after thresholds, groups and diversity, with its facets."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ml_api.deadline import Deadline
from ml_api.errors import InvalidQuery
from ml_api.records import Hit
from ml_api.search.cursor import Place
from ml_api.search.diversity import POOL, diversified
from ml_api.search.facets import COUNTED_HITS, Facets, counted, require_known
from ml_api.search.fields import Fields
from ml_api.search.grouping import DUPLICATES, MAX_READ, READ_AT_ONCE, leaders
from ml_api.search.query import Fault, ResultRow
from ml_api.search.relevance import Judged, Relevance, with_words
from ml_api.search.targets import Target, goes_on, may_pass, passing
from ml_api.vectors.base import VectorStore
from ml_api.vectors.filters import Field, value_of


@dataclass(frozen=True, slots=True)
class Page:
    rows: list[ResultRow]
    more: bool
    confident: bool | None
    best_score: float | None
    """The score of the nearest image, whether or not it is on the page."""
    next: Place | None = None
    """Where the next page begins; None if no cursor leads there."""
    facets: Facets | None = None


class Pages:
    """Cuts pages out of rankings. Thread-safe."""

    def __init__(self, store: VectorStore, fields: Fields, relevance: Relevance | None) -> None:
        self._store = store
        self._fields = fields
        self._relevance = relevance

    def page(self, target: Target, ranked: Sequence[Hit], best: Sequence[Hit], deadline: Deadline) -> Page | Fault:
        """`ranked` is what the store ranks for the target's options, and `best` begins with the best hits of all.

        Raises Unavailable, DeadlineExceeded.
        """
        try:
            facets = self._facets(target, ranked if target.texts else best, deadline)
            if target.query.arrangement.reorders:
                return replace(self._arranged(target, ranked, target.best(best), deadline), facets=facets)
            return replace(self._as_ranked(target, ranked, target.best(best)), facets=facets)
        except InvalidQuery as exc:
            return Fault(exc)

    def _as_ranked(self, target: Target, ranked: Sequence[Hit], best: Sequence[Hit]) -> Page:
        limit, page = target.query.options.limit, target.page(ranked)
        ours = page[:limit]
        judged = self._judged(target, best, ours, ranked)
        rows = passing(target, ours, judged)
        more = len(page) > limit and goes_on(target, ours, rows)
        return _page(rows, judged, best, target.next_place(ours, ranked) if more else None, more=more)

    def _arranged(self, target: Target, ranked: Sequence[Hit], best: Sequence[Hit], deadline: Deadline) -> Page:
        """The page of a ranking that is grouped or put in another order. Reads on while copies leave too few groups for it."""
        wanted, asked = target.query.options, target.options
        read, ends = list(ranked), len(ranked) < asked.limit or bool(target.texts and target.texts.only)
        while True:
            hits = target.ranking(read)
            judged = self._judged(target, best, hits, hits)
            rows = self._grouped(target, passing(target, hits, judged), deadline)
            if len(rows) > target.least_rows or ends or len(read) >= MAX_READ or not may_pass(target, hits):
                break
            asked = replace(asked, offset=asked.window, limit=min(READ_AT_ONCE, MAX_READ - len(read)))
            [found] = self._store.search(target.combined.vector[None, :], asked, deadline)
            ends, known = len(found) < asked.limit, {hit.record.id for hit in read}
            read += [hit for hit in found if hit.record.id not in known]  # an approximate index may rank anew
        left = _not_delivered(target, self._diversified(target, rows, deadline))
        page, more = left[wanted.offset : wanted.window], len(left) > wanted.window
        following = target.next_place([row.hit for row in page], read) if more else None
        return _page(page, judged, best, following, more=more)

    def _judged(self, target: Target, best: Sequence[Hit], hits: Sequence[Hit], ranking: Sequence[Hit]) -> Judged | None:
        """`best` are the best hits by vectors; `hits` are those to be judged, a part of `ranking`."""
        if self._relevance is None or target.kind is None:
            return None
        judged = self._relevance.judge(target.kind, target.combined.vector, best, hits)
        return judged if judged is None or target.texts is None else with_words(judged, hits, target.ranking(ranking))

    def _grouped(self, target: Target, rows: list[ResultRow], deadline: Deadline) -> list[ResultRow]:
        group = target.query.arrangement.group
        if group is None:
            return rows
        hits = [row.hit for row in rows]
        if group != DUPLICATES:
            self._require_known(group, "group", hits, deadline)
        others: dict[int, list[Hit]] = {}
        for place, leader in enumerate(leaders(hits, group, lambda ids: self._store.vectors(ids, deadline))):
            others.setdefault(leader, [])
            if leader != place:
                others[leader].append(hits[place])
        return [replace(rows[leader], others=tuple(some)) for leader, some in others.items()]

    def _diversified(self, target: Target, rows: list[ResultRow], deadline: Deadline) -> list[ResultRow]:
        diversity = target.query.arrangement.diversity
        if not diversity:
            return rows
        vectors = self._store.vectors([row.hit.record.id for row in rows[:POOL]], deadline)
        pool = [row for row in rows[:POOL] if row.hit.record.id in vectors]  # the others were deleted meanwhile
        if not pool:
            return rows[POOL:]
        found = np.stack([vectors[row.hit.record.id] for row in pool])
        order = diversified(found @ target.combined.vector, found, diversity, target.certainties([row.hit for row in pool]))
        return [*(pool[place] for place in order), *rows[POOL:]]

    def _facets(self, target: Target, best: Sequence[Hit], deadline: Deadline) -> Facets | None:
        """Counted over the best hits that pass the thresholds, copies among them."""
        fields = target.query.arrangement.facets
        if not fields:
            return None
        hits = target.ranking(best)[:COUNTED_HITS]
        judged = self._judged(target, target.best(best), hits, hits) if target.query.thresholds.relevance is not None else None
        passed = [row.hit for row in passing(target, hits, judged)]
        for place, field in enumerate(fields):
            self._require_known(field, f"facets[{place}]", passed, deadline)
        return counted(passed, fields)

    def _require_known(self, field: Field, where: str, hits: Sequence[Hit], deadline: Deadline) -> None:
        if all(value_of(hit.record, field) is None for hit in hits):
            require_known(field, self._fields.overview(deadline), where)


def _not_delivered(target: Target, rows: list[ResultRow]) -> list[ResultRow]:
    """The rows that no earlier page had. A group is left out if any of its images was on one.

    Beyond those that are reordered, rows are in the order of their scores, as cursors expect.
    """
    place = target.place
    known = place.delivered([row.hit for row in rows])
    return [row for row, one in zip(rows, known, strict=True) if not (one or any(map(place.remembers, row.others)))]


def _page(rows: list[ResultRow], judged: Judged | None, best: Sequence[Hit], following: Place | None, *, more: bool) -> Page:
    return Page(rows, more, judged.confident if judged else None, best[0].score if best else None, following)
