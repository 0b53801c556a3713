"""Lookups of a search's words in the index of words, in threads beside the model.

A database that is away, or late, never fails a search: the search goes on without words, and for some seconds no other one asks.
"""

import logging
import math
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from time import monotonic
from typing import Final

from ml_api.deadline import Deadline
from ml_api.errors import MlApiError
from ml_api.metrics.search import SearchMetrics
from ml_api.search.fusion import MAX_MATCHES, MAX_MATCHES_ALONE
from ml_api.search.query import Query, TextTerm
from ml_api.texts.index import Found, Lookup, TextIndex
from ml_api.texts.words import query_words
from ml_api.vocabulary import TextLookup

THREADS: Final = 4
MAX_WAITING: Final = 64
"""Lookups at once; a database that does not answer holds up no more."""
PATIENCE_S: Final = 1.0
"""How long a search waits for words, after the model has answered."""
MAX_SHARE_OF_TIME: Final = 0.5
"""The share of a search's remaining time in which it waits for words: the rest is for what the vectors find."""
PAUSE_S: Final = 5.0
"""After a failure, until words are looked up again."""
MAX_WORDS: Final = 32
"""Words of a query that are looked up."""
LATE: Final = "the database has not answered in time"
NOTHING: Final = Found({}, {}, 0)

Lookups = Future[list[Found]]
"""Of several queries, in their order."""

_log = logging.getLogger(__name__)


def words_by_term(query: Query) -> list[list[str]]:
    """The words of each term, for texts with a positive weight: what is not wanted is for the vectors alone."""
    return [
        query_words(one.term.text) if isinstance(one.term, TextTerm) and one.weight > 0 and query.match != "vector" else []
        for one in query.terms
    ]


def lookup_of(query: Query) -> Lookup:
    """The first MAX_WORDS words of its terms."""
    words, needs_all = dict.fromkeys(chain.from_iterable(words_by_term(query))), query.match == "text"
    return Lookup(tuple(words)[:MAX_WORDS], MAX_MATCHES_ALONE if needs_all else MAX_MATCHES, needs_all)


class WordLookups:
    """Looks words up in threads of its own. Thread-safe. Close it."""

    def __init__(self, index: TextIndex, metrics: SearchMetrics) -> None:
        self._index = index
        self._metrics = metrics
        self._threads = ThreadPoolExecutor(THREADS, "texts")
        self._room = threading.BoundedSemaphore(MAX_WAITING)
        self._lock = threading.Lock()
        self._begun: dict[Lookups, float] = {}
        """When each lookup began that is not answered yet, the oldest first; since the last pause."""
        self._paused_until = 0.0

    def close(self) -> None:
        """Safe to call twice."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def begin(self, queries: Sequence[Query]) -> Lookups | None:
        """Look the words of these queries up. None if there is nothing to look up, or nobody to ask."""
        wanted = [lookup_of(query) for query in queries]
        if not any(lookup.words for lookup in wanted) or self._is_paused():
            return None
        if not self._room.acquire(blocking=False):
            self._metrics.text_lookups.labels(TextLookup.LATE).inc()
            return None
        try:
            lookups = self._threads.submit(self._index.find, wanted)
        except RuntimeError:  # closed
            self._room.release()
            return None
        with self._lock:
            self._begun[lookups] = monotonic()
        lookups.add_done_callback(self._ended)  # also if it is given up before its turn
        return lookups

    def answer(self, lookups: Lookups, deadline: Deadline) -> list[Found] | None:
        """What was found; None if the database has failed, or not answered in time. Raises DeadlineExceeded if that has passed."""
        patience_s = min(PATIENCE_S, MAX_SHARE_OF_TIME * deadline.left_s())
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

    def _ended(self, lookups: Lookups) -> None:
        with self._lock:
            self._begun.pop(lookups, None)
        self._room.release()

    def _is_paused(self) -> bool:
        """A search in a hurry waits too shortly to tell that the database hangs; the age of the oldest lookup tells it."""
        if monotonic() < self._paused_until:
            return True
        with self._lock:
            hangs = monotonic() - next(iter(self._begun.values()), math.inf) > PATIENCE_S
        if hangs:
            self._pause(TextLookup.LATE, LATE)
        return hangs

    def _pause(self, outcome: TextLookup, why: str) -> None:
        self._metrics.text_lookups.labels(outcome).inc()
        self._paused_until = monotonic() + PAUSE_S
        with self._lock:
            self._begun.clear()
        _log.warning("searches go on without the words of images for %.0f s: %s", PAUSE_S, why)
