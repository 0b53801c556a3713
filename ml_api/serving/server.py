"""granian in this process: one event loop that reads and answers, and the application, which is built in a thread beside it.

One process owns the model, the metrics and the embedded store, so that signals concern one process only.
"""

import asyncio
import logging
import multiprocessing
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import Any, Final, NoReturn

from flask import Flask
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.net import SocketHolder  # type: ignore[attr-defined]  # granian exports it without saying so
from granian.server.embed import Server as Granian

from ml_api import collector
from ml_api.addresses import url_of
from ml_api.api import EXTENSION
from ml_api.app import create_app
from ml_api.browsers import AllowedHosts, origins
from ml_api.metrics.endpoint import endpoint
from ml_api.ports import listen
from ml_api.services import Services, build_services
from ml_api.serving.admission import Admission
from ml_api.serving.bodies import Bodies
from ml_api.serving.gateway import HEADERS_BYTES, URI_BYTES, Gateway
from ml_api.serving.reaper import ConnectionReaper
from ml_api.serving.starting import StartingApp
from ml_api.settings import Settings

HEAD_TIMEOUT_S: Final = 20
"""Time limit for the head of a connection's next request, idle time included."""
HEAD_BYTES: Final = 4 * (HEADERS_BYTES + URI_BYTES)
"""granian refuses larger checks with a bare status."""
BACKLOG: Final = 1024
MAX_CONNECTIONS: Final = 8192
OWN_FILES: Final = 256
"""Descriptors reserved for files, the store and libraries."""

BUILD_GRACE_S: Final = 4.0
"""How long a stop waits for the application that is being built."""
STOP_S: Final = 7.0
"""Time limit of a stop, without the ends of processes on a busy machine; Docker kills after ten seconds."""
DRAIN_S: Final = 6.0
"""How long a stop waits for answers."""
UNREAD_GRACE_S: Final = 2.0
"""How long a stop waits for requests that are being read, and for checks of readiness, which a model that hangs delays."""
FLUSH_S: Final = 1.0
"""How long a stop waits for clients to receive their last answers."""
REFUSED_S: Final = 0.3
"""How long a stop without time left waits for clients to receive their refusals."""
_LOOK_S: Final = 0.02

_IGNORED: Final = (signal.SIGHUP, signal.SIGTTIN, signal.SIGUSR1, signal.SIGUSR2)  # of closed terminals and rotated logs
_GRANIANS_LOG: Final = {"loggers": {"_granian": {"handlers": [], "propagate": True}}}

_log = logging.getLogger(__name__)


class _Granian(Granian):
    """On a socket that it is given. Those that it opens itself on Linux share their port with others' of the same user
    (SO_REUSEPORT): of two services, each would get a part of the requests."""

    def __init__(self, listening: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._listening = listening

    def _init_shared_socket(self) -> None:
        holder: Any = SocketHolder  # granian leaves its arguments untyped
        self._shd = holder(self._listening.detach(), uds=False, backlog=BACKLOG)  # which closes it
        self._ssp = None


class Server:
    """Runs the application until SIGINT or SIGTERM."""

    def __init__(self, settings: Settings, build: Callable[[Settings], Services] = build_services) -> None:
        """`build` is called in a thread; signals are handled meanwhile."""
        self._settings = settings
        self._build_services = build
        self._app = StartingApp(settings.root_path, origins(settings.cors_origins))

    def run(self) -> int:
        """Returns the exit code: 0 if every request was answered and everything closed. Raises ConfigError."""
        files = _raise_file_limit(MAX_CONNECTIONS + OWN_FILES)
        connections = min(MAX_CONNECTIONS, max(files - OWN_FILES, files // 2))
        listening = listen(self._settings.host, self._settings.port, BACKLOG)
        return asyncio.run(self._run(listening, connections))

    async def _run(self, listening: socket.socket, connections: int) -> int:
        loop = asyncio.get_running_loop()
        stopping: asyncio.Future[float] = loop.create_future()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, _note, stopping)
        for number in _IGNORED:
            signal.signal(number, signal.SIG_IGN)
        granian = self._granian(listening, connections)
        serving = asyncio.create_task(granian.serve())
        try:
            building = loop.run_in_executor(ThreadPoolExecutor(1, "build"), self._build)
            first: set[asyncio.Future[Any]] = {building, serving, stopping}
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            if not building.done():
                if serving.done():
                    _tell_why(serving)
                    return 1
                _log.info("stopped while starting")
                granian.stop()  # type: ignore[no-untyped-call]  # granian leaves it untyped
                await asyncio.wait({building}, timeout=BUILD_GRACE_S)
                if not building.done():
                    return 0  # no request has reached the application yet, and the store recovers
            app = building.result()
            is_drained = stopping.done() or await self._serve(app, connections, granian, serving, stopping)
        finally:
            granian.stop()  # type: ignore[no-untyped-call]  # granian leaves it untyped
            if self._app.gateway is None:
                await asyncio.wait({serving}, timeout=FLUSH_S)
            # granian may tell its end when the loop has ended what waits for it, which asyncio would log with a traceback.
            loop.set_exception_handler(lambda *_: None)
        services: Services = app.extensions[EXTENSION]
        began = stopping.result() if stopping.done() else loop.time()
        is_closed = await _close(services, began + STOP_S - loop.time())
        return 0 if is_drained and is_closed else 1

    async def _serve(
        self,
        app: Flask,
        connections: int,
        granian: Granian,
        serving: "asyncio.Task[None]",
        stopping: asyncio.Future[float],
    ) -> bool:
        """Serve until stopped; returns whether every request was answered."""
        settings = self._settings
        admission = Admission(settings.threads + settings.queue_limit, settings.queue_wait_s)
        bodies = Bodies(app.config["MAX_CONTENT_LENGTH"])
        self._app.gateway = gateway = Gateway(app, admission, bodies, threads=settings.threads)
        reaping = asyncio.create_task(ConnectionReaper(settings.port, connections, gateway.busy).run())
        self._tell_where()
        either: set[asyncio.Future[Any]] = {serving, stopping}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        reaping.cancel()
        if serving.done():
            _tell_why(serving)
            return False
        _log.info("stopping%s", f": {_requests(gateway.unanswered)} still being answered" if gateway.unanswered else "")
        granian.stop()  # type: ignore[no-untyped-call]  # granian leaves it untyped
        return await _drain(gateway, serving)

    def _granian(self, listening: socket.socket, connections: int) -> Granian:
        return _Granian(
            listening,
            self._app,
            interface=Interfaces.ASGINL,
            http=HTTPModes.http1,
            websockets=False,
            backlog=BACKLOG,
            backpressure=connections,
            http1_settings=HTTP1Settings(header_read_timeout=HEAD_TIMEOUT_S * 1000, max_buffer_size=HEAD_BYTES),
            log_level=LogLevels.error,
            log_dictconfig=_GRANIANS_LOG,
        )

    def _build(self) -> Flask:
        settings = self._settings
        with ExitStack() as undo:
            services = self._build_services(settings)
            undo.callback(services.close)
            app = create_app(settings, services)
            allowed = AllowedHosts.of(settings.host, settings.allowed_hosts)
            metrics = endpoint(settings.host, settings.metrics_port, services.metrics.registry, allowed)
            services.background.enter_context(metrics)
            undo.pop_all()
        collector.spare_what_stays()
        return app

    def _tell_where(self) -> None:
        host = self._settings.host
        service = url_of(host, self._settings.port)
        _log.info("search page  %s/", service)
        _log.info("API          %s/apidocs/", service)
        _log.info("metrics      %s/metrics", url_of(host, self._settings.metrics_port))


def _note(stopping: asyncio.Future[float]) -> None:
    """Record the time of the first signal."""
    if not stopping.done():
        stopping.set_result(asyncio.get_running_loop().time())


def _tell_why(serving: "asyncio.Task[None]") -> None:
    _log.critical("the HTTP server ended by itself", exc_info=serving.exception())


async def _drain(gateway: Gateway, serving: "asyncio.Task[None]") -> bool:
    """Wait until requests are answered and the answers are sent; returns whether all that were read were. Refuse the others.

    A request that was read when the stop began may reach the gateway after that: it is waited for like the others.
    """
    loop = asyncio.get_running_loop()
    began = answered_at = loop.time()
    is_open = True
    while (is_open or not serving.done()) and loop.time() < answered_at + FLUSH_S:
        await asyncio.sleep(_LOOK_S)
        is_open = bool(gateway.unanswered or (gateway.unsettled and loop.time() < began + UNREAD_GRACE_S))
        if is_open:
            answered_at = loop.time()
            if answered_at > began + DRAIN_S:
                _log.error("stopped with %s unanswered", _requests(gateway.unanswered))
                gateway.refuse_all()
                await asyncio.wait({serving}, timeout=REFUSED_S)
                return False
        elif gateway.unsettled:
            gateway.refuse_all()
    return True


def _requests(number: int) -> str:
    return f"{number} request{'' if number == 1 else 's'}"


async def _close(services: Services, timeout_s: float) -> bool:
    closing = asyncio.get_running_loop().run_in_executor(ThreadPoolExecutor(1, "close"), services.close)
    await asyncio.wait({closing}, timeout=timeout_s)
    if not closing.done():
        _log.error("not everything could be closed within %.1f s", timeout_s)
        return False
    closing.result()
    return True


def end(code: int) -> NoReturn:
    """Exit at once, whatever library threads still do: everything that needs closing is closed."""
    logging.shutdown()
    with suppress(OSError):  # who read it has ended, or its disk is full
        sys.stdout.flush()
    for child in multiprocessing.active_children():
        child.kill()
    os._exit(code)


def _raise_file_limit(wanted: int) -> int:
    """Raise the soft limit on descriptors to `wanted`, or what the system allows, and return it. The usual default of 1,024 is too
    few for connections. It is not raised to the hard limit, which may be infinite, as macOS does not accept.
    """
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
    if now != resource.RLIM_INFINITY and now < files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))
    return files
