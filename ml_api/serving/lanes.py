"""Lanes: the queues in which requests wait, each with its own threads.

Searches and all other expensive requests share one lane. The files of the search page have lanes of their own, so that an
overloaded service still shows a page that says so. Readiness checks, checks of the senders of large bodies, and refusals have their
own, too, so that a flood of one kind delays no other.
"""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import perf_counter
from typing import Final

from flask import Flask

from ml_api.serving.admission import Admission
from ml_api.serving.asgi import RequestHeaders
from ml_api.serving.refusing import too_many
from ml_api.web import FOR_PROGRAMS, SHOWN_WHEN_FULL

STATIC_THREADS: Final = 1
"""Threads for static files. In the request threads, 64 clients that requested static files as fast as possible made a search take
eight times as long: each file holds Python's global interpreter lock for 1.5 ms, and many threads wait for it."""
STATIC_LIMIT: Final = 256
"""Static files that are read or wait: those of five visitors who open the page at once, in 0.4 s."""
PAGE_THREADS: Final = 2
"""Apart from static files, because the first page asks the store, which may hang for a second, whether it holds the demo."""
PAGE_LIMIT: Final = 32
READY_THREADS: Final = 2
"""More than one, because callers of the next check arrive while the current one runs."""
READY_LIMIT: Final = 64
HEAD_THREADS: Final = 2
HEAD_LIMIT: Final = 64
REFUSAL_THREADS: Final = 1
REFUSAL_LIMIT: Final = 64
_WAIT_S: Final = 2.0
"""Longest expected wait for static files and pages. The other lanes have limits on the number only: a time learnt while the store
or the database hung would refuse readiness checks and uploads that come after."""


class Lane:
    """One queue and the threads that its requests run in."""

    def __init__(self, name: str, queue: Admission, threads: int) -> None:
        self.queue = queue
        self.threads = ThreadPoolExecutor(threads, name)
        self._count = threads

    @contextmanager
    def place(self, elsewhere: Sequence[float] = ()) -> Iterator[None]:
        """A place in the queue while the context lasts. Raises Overloaded.

        The sum of `elsewhere`, in seconds, is no time that others will have to wait.
        """
        permit, began = self.queue.acquire(), perf_counter()
        if permit is None:
            raise too_many()
        try:
            yield
        finally:
            self.queue.release(permit, perf_counter() - began - sum(elsewhere))

    @property
    def waiting(self) -> int:
        return max(0, self.queue.length - self._count)

    @property
    def working(self) -> int:
        return min(self.queue.length, self._count)


class Lanes:
    """All lanes of an application."""

    def __init__(self, app: Flask, work: Lane) -> None:
        self.work = work
        self.statics = Lane("static", Admission(STATIC_LIMIT, _WAIT_S), STATIC_THREADS)
        self.pages = Lane("page", Admission(PAGE_LIMIT, _WAIT_S), PAGE_THREADS)
        self.ready = Lane("ready", Admission(READY_LIMIT, math.inf), READY_THREADS)
        self.checks = Lane("head", Admission(HEAD_LIMIT, math.inf), HEAD_THREADS)
        """Checks that a client may send a large body; a key that is not in memory waits for the database."""
        self.refusals = Lane("refusal", Admission(REFUSAL_LIMIT, math.inf), REFUSAL_THREADS)
        """Answers to requests that the server refuses, in the application's form."""
        root = app.config["APPLICATION_ROOT"].rstrip("/")
        rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint in SHOWN_WHEN_FULL]
        paths = {start + rule.rule for rule in rules for start in ("", root)}
        self._static_folders = tuple(path.partition("<")[0] for path in paths if "<" in path)
        self._pages = frozenset(path for path in paths if "<" not in path)
        self._for_programs = (FOR_PROGRAMS, root + FOR_PROGRAMS)

    def of(self, path: str, headers: RequestHeaders) -> Lane:
        """The lane of a request for `path`."""
        if path.startswith(self._static_folders):
            return self.statics
        if path in self._pages or self._shows_an_error(path, headers):
            return self.pages
        return self.work

    @property
    def unanswered(self) -> int:
        """Requests in all lanes that have been read. A stop does not wait for readiness, which a model that hangs delays."""
        return sum(lane.queue.length for lane in (self.work, self.statics, self.pages, self.refusals))

    def _shows_an_error(self, path: str, headers: RequestHeaders) -> bool:
        """Whether a browser requests an address outside the API, which is answered with an error page."""
        return "text/html" in headers.get("accept") and not path.startswith(self._for_programs)
