"""The ASGI application around Flask: reads the body, admits the request, runs it in a thread, sends the answer.

Clients that send or read slowly hold no thread and no permit, because the event loop reads and sends. It also answers refusals.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from time import perf_counter
from typing import Any, Final, Literal

from flask import Flask
from werkzeug.exceptions import RequestEntityTooLarge

from ml_api.api import EXTENSION, HEAD_CHECK, SHARED_WITH, observe
from ml_api.api.problems import REFUSED, STATUS
from ml_api.browsers import sharing_headers
from ml_api.errors import HeadersTooLarge, MlApiError, Overloaded, RequestTimeout, UriTooLong
from ml_api.logs.throttle import LogThrottle
from ml_api.serving.admission import Admission
from ml_api.serving.asgi import Answer, Receive, RequestHeaders, Scope, Send, send_answer
from ml_api.serving.bodies import DISCARDED_BYTES, SMALL_BYTES, Bodies
from ml_api.serving.lanes import Lane, Lanes
from ml_api.serving.refusing import Refusals, too_many
from ml_api.serving.wsgi import call, environ_of

LIVE: Final = "/livez"
READY: Final = "/readyz"
"""Answered even if the queue is full: an overloaded service is alive and must not be restarted."""
FILE_THREADS: Final = 4
"""Threads for the pieces of long answers, which are read from disk."""
URI_BYTES: Final = 8190
HEADERS_BYTES: Final = 64 * 1024
SEND_TIMEOUT_S: Final = 30.0
"""Longest wait for a client to receive the next piece of its answer."""
CHECK_TIMEOUT_S: Final = 2.0
"""Longest wait for the check that the client may send a large body."""

State = Literal["reading", "waiting", "working", "sending"]

_log = logging.getLogger(__name__)


class Gateway:
    """An ASGI application around a WSGI one; request bodies are in memory.

    For one event loop. Only the WSGI application runs in threads.
    """

    def __init__(  # noqa: PLR0913 - its parts, and two times that tests shorten
        self,
        app: Flask,
        admission: Admission,
        bodies: Bodies,
        *,
        threads: int,
        send_timeout_s: float = SEND_TIMEOUT_S,
        check_timeout_s: float = CHECK_TIMEOUT_S,
    ) -> None:
        self._app = app
        self._lanes = Lanes(app, Lane("request", admission, threads))
        self._bodies = bodies
        self._refusals = Refusals(app, LogThrottle(_log))
        self._send_timeout_s = send_timeout_s
        self._check_timeout_s = check_timeout_s
        self._files = ThreadPoolExecutor(FILE_THREADS, "file")
        self._shared_with: frozenset[str] = app.config[SHARED_WITH]
        self._check_head = app.extensions[HEAD_CHECK]
        root = app.config["APPLICATION_ROOT"].rstrip("/")
        self._live, self._ready = ({path, root + path} for path in (LIVE, READY))
        self._at: Counter[str] = Counter()
        self._in_work: set[asyncio.Task[Any]] = set()
        """Tasks of requests without an answer."""
        self.busy: Counter[int] = Counter()
        """Client ports of requests that have been read and are not answered yet."""
        self._describe(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            answer, is_unread = await self._answer_or_refuse(scope, receive)
            await send_answer(send, answer, close=is_unread)
            if answer.pieces is not None:
                with self._in("sending"), self._answering(scope):
                    await self._send_rest(send, answer.pieces)
            if is_unread and answer.status != STATUS[RequestTimeout]:
                await self._bodies.read_on(receive)
        except TimeoutError:
            _log.info("a client did not receive its answer for %g s; the connection is closed", self._send_timeout_s)
        except asyncio.CancelledError:
            pass  # the process ends; granian would log an exception with a traceback

    @property
    def unanswered(self) -> int:
        """Requests that have been read and are not answered yet."""
        return self._lanes.unanswered + self._at["sending"]

    @property
    def unsettled(self) -> int:
        """Requests of all kinds without an answer, those whose bodies still arrive and checks of readiness among them."""
        return len(self._in_work)

    def refuse_all(self) -> None:
        """Answer all unanswered requests 503, at the end of a stop: those whose bodies still arrive, and those that hang."""
        for task in self._in_work:
            task.cancel()

    async def _answer_or_refuse(self, scope: Scope, receive: Receive) -> tuple[Answer, bool]:
        task = asyncio.current_task()
        assert task is not None
        self._in_work.add(task)
        try:
            return await self._answer(scope, receive)
        except asyncio.CancelledError:
            headers = RequestHeaders(scope)
            return self._shared(self._refusals.shutting_down(headers.get("x-request-id")), headers), True
        finally:
            self._in_work.discard(task)

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[Answer, bool]:
        """The answer, and whether a part of the body has not been read."""
        headers = RequestHeaders(scope)
        stated_bytes = int(headers.get("content-length") or 0)  # the server has checked that it is a number
        has_body = stated_bytes > 0 or "transfer-encoding" in headers
        if scope["path"] in self._live:  # answered without waiting, so the event loop can call it
            return self._call(scope, b"", perf_counter()), has_body
        if scope["path"] in self._ready:
            return await self._work(self._lanes.ready, scope, headers, b""), has_body
        lane = self._lanes.of(scope["path"], headers)
        if lane.queue.full:  # checked first, since there may be thousands a second
            # A client that asks before it sends (Expect: 100-continue) is refused before it does.
            is_small = 0 < stated_bytes <= DISCARDED_BYTES and "expect" not in headers
            is_read = is_small and await self._bodies.read_before(receive)
            return self._overloaded(scope, headers, too_many()), has_body and not is_read
        try:
            _check_head(scope)
            self._bodies.check(stated_bytes)
            if stated_bytes > SMALL_BYTES or (has_body and not stated_bytes):  # or of unknown length
                await self._authorize(scope)
            body = await self._read(receive) if has_body else b""
        except Overloaded as refused:
            return self._overloaded(scope, headers, refused), has_body
        except (MlApiError, RequestEntityTooLarge) as refused:
            return await self._work(self._lanes.refusals, scope, headers, b"", **{REFUSED: refused}), has_body
        try:
            return await self._work(lane, scope, headers, body), False
        finally:
            self._bodies.release(body)

    async def _authorize(self, scope: Scope) -> None:
        """Check the head of a request before its large body is read. Raises MlApiError; Overloaded if the check takes too long."""
        check = partial(self._check_head, environ_of(scope, b""), lambda *_: None)
        checks = self._lanes.checks
        with checks.place():
            try:
                async with asyncio.timeout(self._check_timeout_s):
                    await asyncio.get_running_loop().run_in_executor(checks.threads, check)
            except TimeoutError:
                raise Overloaded("the sender of this request cannot be checked in time; try again") from None

    async def _read(self, receive: Receive) -> bytes:
        with self._in("reading"):
            return await self._bodies.read(receive)

    async def _work(self, lane: Lane, scope: Scope, headers: RequestHeaders, body: bytes, **more: object) -> Answer:
        arrived, elsewhere = perf_counter(), list[float]()
        try:
            with lane.place(elsewhere):
                return await self._run(lane.threads, scope, body, arrived, **{observe.ELSEWHERE: elsewhere}, **more)
        except Overloaded as refused:
            return self._overloaded(scope, headers, refused)

    async def _run(self, threads: Executor, scope: Scope, body: bytes, arrived: float, **more: object) -> Answer:
        with self._answering(scope):
            return await asyncio.get_running_loop().run_in_executor(threads, partial(self._call, scope, body, arrived, **more))

    def _call(self, scope: Scope, body: bytes, arrived: float, **more: object) -> Answer:
        observe.arrived.set(arrived)
        return call(self._app, environ_of(scope, body, **more))

    def _overloaded(self, scope: Scope, headers: RequestHeaders, error: Overloaded) -> Answer:
        refused = self._refusals.overloaded(scope["method"], scope["path"], headers.get("x-request-id"), error)
        return self._shared(refused, headers)

    def _shared(self, refused: Answer, headers: RequestHeaders) -> Answer:
        """The answer with the headers that let a listed page of another origin read it."""
        return refused.with_headers(sharing_headers(headers.get("origin"), self._shared_with))

    async def _send_rest(self, send: Send, pieces: Iterator[bytes]) -> None:
        loop = asyncio.get_running_loop()
        while piece := await loop.run_in_executor(self._files, next, pieces, b""):
            async with asyncio.timeout(self._send_timeout_s):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        async with asyncio.timeout(self._send_timeout_s):
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    @contextmanager
    def _in(self, state: State) -> Iterator[None]:
        self._at[state] += 1
        try:
            yield
        finally:
            self._at[state] -= 1

    @contextmanager
    def _answering(self, scope: Scope) -> Iterator[None]:
        [_, port] = scope["client"]
        self.busy[port] += 1
        try:
            yield
        finally:
            self.busy[port] -= 1
            if not self.busy[port]:
                del self.busy[port]

    def _describe(self, app: Flask) -> None:
        http = app.extensions[EXTENSION].metrics.http
        lanes, at = self._lanes, self._at
        http.requests.labels("reading").set_function(lambda: at["reading"])
        http.requests.labels("waiting").set_function(lambda: lanes.work.waiting)
        http.requests.labels("working").set_function(lambda: lanes.work.working)
        http.requests.labels("sending").set_function(lambda: at["sending"])
        http.requests_limit.set(lanes.work.queue.limit)


def _check_head(scope: Scope) -> None:
    if len(scope["raw_path"]) + len(scope["query_string"]) > URI_BYTES:
        raise UriTooLong(f"the URL is longer than {URI_BYTES:,} bytes; send long texts with POST")
    if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADERS_BYTES:
        raise HeadersTooLarge(f"the headers are larger than {HEADERS_BYTES:,} bytes")
