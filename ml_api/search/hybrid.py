"""Search by words beside vectors: looked up while the model embeds, fused with what the vectors found.

The index of words only proposes. What is delivered was compared with the record itself, so that nothing is shown that is no more
there, however far the index is behind. A database that is away, or late, never fails a search: it goes on without words.
"""

import logging
import math
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from time import monotonic
from typing import Final

from ml_api.deadline import Deadline
from ml_api.errors import DatabaseUnavailable, MlApiError
from ml_api.metrics import Metrics
from ml_api.records import Hit, ImageRecord, TextMatch
from ml_api.search.fusion import MAX_MATCHES, MAX_MATCHES_ALONE, TextMatches
from ml_api.search.query import Query, TextTerm
from ml_api.search.targets import Target
from ml_api.texts.index import Found, TextIndex
from ml_api.texts.words import said_of, wanted_words
from ml_api.vectors.base import Metric, VectorStore
from ml_api.vectors.filters import holds
from ml_api.vectors.scoring import score_of
from ml_api.vocabulary import TextLookup

THREADS: Final = 4
MOST_WAITING: Final = 64
"""Lookups at once; a database that does not answer holds up no more."""
PATIENCE_S: Final = 1.0
"""How long a search waits for words, after the model has answered."""
MOST_OF_TIME: Final = 0.5
"""That it has left, which it waits for them: the rest is for what the vectors find."""
PAUSE_S: Final = 5.0
"""After a failure, until words are looked up again."""
MOST_WORDS: Final = 32
"""Of a query."""

Wanted = tuple[tuple[str, ...], bool]
"""Words, and whether an image must have them all."""
Lookups = Future[list[Found]]

_log = logging.getLogger(__name__)


class Hybrid:
    """Thread-safe. Close it."""

    def __init__(self, index: TextIndex | None, store: VectorStore, metric: Metric, metrics: Metrics) -> None:
        """Without an index all searches go on without words."""
        self._index = index
        self._store = store
        self._metric = metric
        self._metrics = metrics.search
        self._threads = ThreadPoolExecutor(THREADS, "texts")
        self._room = threading.BoundedSemaphore(MOST_WAITING)
        self._lock = threading.Lock()
        self._begun: dict[Lookups, float] = {}
        """When each that is not answered yet was, the oldest first; since the last pause."""
        self._paused_until = 0.0

    def close(self) -> None:
        """Safe to call twice."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def begin(self, queries: Sequence[Query]) -> Lookups | None:
        """Look up the words of these queries in a thread of ours. None if there is nothing to look up, or nobody to ask."""
        index, wanted = self._index, [_wanted(query) for query in queries]
        if index is None or not any(words for words, _ in wanted) or self._is_paused():
            return None
        if not self._room.acquire(blocking=False):
            self._metrics.text_lookups.labels(TextLookup.LATE).inc()
            return None
        try:
            lookups = self._threads.submit(_looked_up, index, wanted)
        except RuntimeError:  # closed
            self._room.release()
            return None
        with self._lock:
            self._begun[lookups] = monotonic()
        lookups.add_done_callback(self._ended)  # also if it is given up before its turn
        return lookups

    def _ended(self, lookups: Lookups) -> None:
        with self._lock:
            self._begun.pop(lookups, None)
        self._room.release()

    def _is_paused(self) -> bool:
        """Who is in a hurry does not wait for long, and so cannot tell that the database hangs; the age of lookups can."""
        if monotonic() < self._paused_until:
            return True
        with self._lock:
            hangs = monotonic() - next(iter(self._begun.values()), math.inf) > PATIENCE_S
        if hangs:
            self._pause(TextLookup.LATE, LATE)
        return hangs

    def matches(self, queries: Sequence[Query], lookups: Lookups | None, deadline: Deadline) -> dict[Query, TextMatches]:
        """What was found, where it says something. Raises DeadlineExceeded if it has passed, and DatabaseUnavailable where words
        alone count.
        """
        found = None if lookups is None else self._answer(lookups, deadline)
        if found is None:
            if any(query.match == "text" and _wanted(query)[0] for query in queries):
                raise DatabaseUnavailable("the words of the images cannot be looked up now; try again, or leave out match=text")
            found = [NOTHING] * len(queries)
        every = {query: _matches(query, one) for query, one in zip(queries, found, strict=True)}
        return {query: matches for query, matches in every.items() if matches is not None}

    def fused(self, ranked: Mapping[Target, list[Hit]], deadline: Deadline) -> dict[Target, list[Hit]]:
        """Of targets with matches as many hits as they need, in the fused order; of others what they had."""
        return {
            target: hits if target.texts is None else self._fused(target, target.texts, hits, deadline)
            for target, hits in ranked.items()
        }

    def _answer(self, lookups: Lookups, deadline: Deadline) -> list[Found] | None:
        patience_s = min(PATIENCE_S, MOST_OF_TIME * deadline.left_s())
        try:
            found = lookups.result(patience_s)
        except TimeoutError:
            lookups.cancel()
            if patience_s == PATIENCE_S:
                self._pause(TextLookup.LATE, LATE)
            else:  # which says nothing of the database
                self._metrics.text_lookups.labels(TextLookup.LATE).inc()
            return None
        except MlApiError as exc:
            self._pause(TextLookup.FAILED, exc.detail)
            return None
        self._metrics.text_lookups.labels(TextLookup.FOUND if any(one.images for one in found) else TextLookup.NOTHING).inc()
        return found

    def _pause(self, outcome: TextLookup, why: str) -> None:
        self._metrics.text_lookups.labels(outcome).inc()
        self._paused_until = monotonic() + PAUSE_S
        with self._lock:
            self._begun.clear()
        _log.warning("searches go on without the words of images for %.0f s: %s", PAUSE_S, why)

    def _fused(self, target: Target, texts: TextMatches, ranked: Sequence[Hit], deadline: Deadline) -> list[Hit]:
        hits, scores = {hit.record.id: hit for hit in ranked}, {hit.record.id: hit.score for hit in ranked}
        if texts.is_cut:
            texts = texts.joined(hit.record.id for hit in ranked if _says_all(hit.record, texts.found))
        proved: dict[str, Hit] = {}
        looked_at = target.most_fused
        while True:
            scores |= self._scores(target, sorted(texts.standing_alone - scores.keys()), deadline)
            order = texts.fused([hit.record.id for hit in ranked], scores)
            new = [image for image in order[:looked_at] if image in texts.coverages and image not in proved]
            missing = [image for image in new if image not in hits]
            hits |= self._fetched(target, missing, scores, deadline) if missing else {}
            for image in new:
                if image in hits and (match := _proof(hits[image], target, texts)):
                    proved[image] = replace(hits[image], match=match)
            false = frozenset(new) - proved.keys()
            if not false:
                return [proved.get(image) or hits[image] for image in order[: target.most_fused]]
            texts, looked_at = texts.without(false), 2 * looked_at  # few rounds, however many are false or filtered out

    def _scores(self, target: Target, images: Sequence[str], deadline: Deadline) -> dict[str, float]:
        """Of those that are stored."""
        vectors = self._store.vectors(images, deadline) if images else {}
        return {image: score_of(float(target.combined.vector @ vector), self._metric) for image, vector in vectors.items()}

    def _fetched(self, target: Target, images: Sequence[str], scores: Mapping[str, float], deadline: Deadline) -> dict[str, Hit]:
        """Those that are stored, and fulfil the filter."""
        records, wanted = self._store.get(images, deadline), target.query.options.filter
        return {image: Hit(record, scores[image]) for image, record in records.items() if wanted is None or holds(wanted, record)}


LATE: Final = "the database has not answered in time"
NOTHING: Final = Found({}, {}, 0)


def _looked_up(index: TextIndex, wanted: Sequence[Wanted]) -> list[Found]:
    def found(lookup: Wanted) -> Found:
        words, needs_all = lookup
        if not words:
            return NOTHING
        return index.find_all(words, MAX_MATCHES_ALONE) if needs_all else index.find(words, MAX_MATCHES)

    return [found(one) for one in wanted]


def _wanted(query: Query) -> Wanted:
    """Of the terms that are text and wanted: what is not wanted is for the vectors alone."""
    if query.match == "vector":
        return (), False
    texts = [one.term.text for one in query.terms if isinstance(one.term, TextTerm) and one.weight > 0]
    words = (word for text in texts for word in wanted_words(text))
    return tuple(dict.fromkeys(words))[:MOST_WORDS], query.match == "text"


def _matches(query: Query, found: Found) -> TextMatches | None:
    if query.match == "text":
        return TextMatches(found, only=True)
    if not found.images:
        return None
    weights = [one.weight for one in query.terms if one.weight > 0]
    texts = [one.weight for one in query.terms if one.weight > 0 and isinstance(one.term, TextTerm)]
    matches = TextMatches(found, sum(texts) / sum(weights))
    return matches if matches.coverages else None


def _says_all(record: ImageRecord, found: Found) -> bool:
    return found.known.keys() <= set().union(*said_of(record).values())


def _proof(hit: Hit, target: Target, texts: TextMatches) -> TextMatch | None:
    """Where the words stand in the record, without fields that hold fewer than another; None if one stands nowhere any more, or
    if the image is too far away.
    """
    image = hit.record.id
    has = texts.found.images[image]
    found = {name: has & words for name, words in said_of(hit.record).items()}
    if has - frozenset().union(*found.values()) or not target.query.thresholds.let_score_pass(hit.score):
        return None
    told = {name: texts.distinctive(has) & some for name, some in found.items()}
    fields = tuple(name for name, some in told.items() if some and not any(some < others for others in told.values()))
    return TextMatch(fields, texts.naming(image))
