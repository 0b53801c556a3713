"""Lookups of a search's words in the index of words, in threads beside the model.

A database that is away, or late, never fails a search: the search goes on without words, and for some seconds no other one asks.
"""

import logging
import math
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
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
PATIENCE_S: Final = 1.0
"""How long a search waits for words, after the model has answered."""
MAX_SHARE_OF_TIME: Final = 0.5
"""The share of a search's remaining time in which it waits for words: the rest is for what the vectors find."""
PAUSE_S: Final = 5.0
"""After a failure, until words are looked up again."""
MAX_WORDS: Final = 32
"""Words of a query that are looked up."""
AT_ONCE: Final = 64
"""Queries whose words are looked up in one call; those of one search stay together, however many they are."""
LATE: Final = "the database has not answered in time"
NOTHING: Final = Found({}, {}, 0)

Lookups = Future[list[Found] | MlApiError]
"""What was found for several queries, in their order, or why nothing was: not raised, as searches in several threads share it."""

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
    """Looks words up in threads of its own. Thread-safe. Close it.

    The words of a search that is alone are looked up at once, beside the model. Those of searches that wait for the model together
    are looked up together, when the first of them comes back: each call of the database takes a thread's turn from the others.
    One call at most waits for a thread, and the lookups of no more searches than those that are under way.
    """

    def __init__(self, index: TextIndex, metrics: SearchMetrics) -> None:
        self._index = index
        self._metrics = metrics
        self._threads = ThreadPoolExecutor(THREADS, "texts")
        self._lock = threading.Lock()
        self._waiting: dict[Lookups, Sequence[Lookup]] = {}
        """What is not looked up yet, the oldest first."""
        self._unread: set[Lookups] = set()
        """The lookups of searches that wait for the model."""
        self._next: object | None = None
        """The call that no thread has begun yet: it takes what waits by then."""
        self._begun: dict[object, float] = {}
        """When each call of the index was asked for that has not returned yet, the oldest first; since the last pause."""
        self._paused_until = 0.0
        self._is_closed = False

    def close(self) -> None:
        """Safe to call twice. Searches that wait go on without words."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            self._next, self._is_closed = None, True
            waiting = list(self._waiting)
            self._waiting.clear()
        for lookups in waiting:
            lookups.cancel()

    def begin(self, queries: Sequence[Query]) -> Lookups | None:
        """Look the words of these queries up, until `end`. None if there is nothing to look up, or lookups are paused."""
        wanted = [lookup_of(query) for query in queries]
        if not any(lookup.words for lookup in wanted) or self._is_paused():
            return None
        lookups = Lookups()
        with self._lock:
            if self._is_closed:
                return None
            self._waiting[lookups] = wanted
            is_alone = not self._unread
            self._unread.add(lookups)
        if is_alone and not self._find_soon():
            self.end(lookups)
            return None
        return lookups

    def answer(self, lookups: Lookups, deadline: Deadline) -> list[Found] | None:
        """What was found; None if the database has failed, or not answered in time. Raises DeadlineExceeded if that has passed."""
        with self._lock:
            self._unread.discard(lookups)
            waits = lookups in self._waiting
        if not lookups.done() and monotonic() < self._paused_until:  # others have waited for it since this began
            return None
        if waits and not self._find_soon():
            return None
        patience_s = min(PATIENCE_S, MAX_SHARE_OF_TIME * deadline.left_s())
        try:
            found = lookups.result(patience_s)
        except TimeoutError:
            if patience_s == PATIENCE_S:
                self._pause(TextLookup.LATE, LATE)
            else:  # which says nothing of the database
                self._metrics.text_lookups.labels(TextLookup.LATE).inc()
            return None
        except CancelledError:
            return None
        if isinstance(found, MlApiError):
            self._pause(TextLookup.FAILED, found.detail)
            return None
        self._metrics.text_lookups.labels(TextLookup.FOUND if any(one.images for one in found) else TextLookup.NOTHING).inc()
        return found

    def end(self, lookups: Lookups) -> None:
        """Look these up no more: their search has its answer, or failed before it."""
        with self._lock:
            self._unread.discard(lookups)
            self._waiting.pop(lookups, None)

    def _find_soon(self) -> bool:
        """Have a thread look up all that waits. False if there is none, as once this is closed."""
        with self._lock:
            if self._next is None:
                call = object()
                try:
                    self._threads.submit(self._find_waiting, call)
                except RuntimeError:  # closed, or out of threads
                    return False
                self._next = call
            self._begun.setdefault(self._next, monotonic())
        return True

    def _find_waiting(self, call: object) -> None:
        with self._lock:
            if self._next is not call:  # it waited for a thread that could not be started, and was given up
                return
            self._next, taken, size = None, dict[Lookups, Sequence[Lookup]](), 0
            for lookups, wanted in self._waiting.items():
                if taken and size + len(wanted) > AT_ONCE:
                    break
                taken[lookups], size = wanted, size + len(wanted)
            for lookups in taken:
                del self._waiting[lookups]
            leaves_some = bool(self._waiting)
        if leaves_some:
            self._find_soon()
        try:
            self._find(taken)
        finally:
            with self._lock:
                self._begun.pop(call, None)

    def _find(self, taken: Mapping[Lookups, Sequence[Lookup]]) -> None:
        try:
            found = self._index.find([lookup for wanted in taken.values() for lookup in wanted]) if taken else []
        except MlApiError as exc:
            for lookups in taken:
                lookups.set_result(exc)
        except BaseException as exc:  # noqa: BLE001 - whatever it is, no search may wait for ever
            if len(taken) == 1:
                next(iter(taken)).set_exception(exc)
                return
            for lookups, wanted in taken.items():  # it may be of one search alone
                self._find({lookups: wanted})
        else:
            parts = iter(found)
            for lookups, wanted in taken.items():
                lookups.set_result([next(parts) for _ in wanted])

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
        if monotonic() < self._paused_until:
            return
        self._paused_until = monotonic() + PAUSE_S
        with self._lock:
            self._begun.clear()
        _log.warning("searches go on without the words of images for %.0f s: %s", PAUSE_S, why)
