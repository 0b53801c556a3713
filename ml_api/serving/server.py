"""gunicorn with one worker and many threads, the application built after the fork.

One process owns the model, the metrics and the embedded store. More workers would each load a model and fight over Milvus Lite,
whose data a second process destroys; scale out with replicas over a Milvus server instead.
"""

import logging
import os
import sys
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.errors import AppImportError
from gunicorn.glogging import Logger

from ml_api.api.state import EXTENSION
from ml_api.app import create_app
from ml_api.browsers import AllowedHosts
from ml_api.errors import ConfigError
from ml_api.metrics.endpoint import endpoint
from ml_api.services import Services
from ml_api.serving.worker import SILENCE_S, Worker
from ml_api.settings import Settings

BOOT_TIMEOUT_S = 600
"""Loading a big model from a slow disk takes minutes; a worker that needs longer is taken for dead."""
SHUTDOWN_MARGIN_S = 5

_log = logging.getLogger(__name__)


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    """Runs the application until a signal ends it. `run` raises SystemExit."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._services: Services | None = None
        super().__init__()

    def load_config(self) -> None:
        settings = self.settings
        for name, value in {
            "bind": _address(settings, settings.port),
            "workers": 1,
            "worker_class": Worker,
            "threads": settings.threads,
            "preload_app": False,
            "timeout": BOOT_TIMEOUT_S,
            "graceful_timeout": int(settings.request_timeout_s) + SHUTDOWN_MARGIN_S,
            "keepalive": 30,
            "limit_request_line": 8190,
            "control_socket_disable": True,
            "logger_class": _PropagatingLogger,
            "worker_exit": self._close,
            "proc_name": "ml_api",
        }.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Build the application, in the worker."""
        try:
            app = create_app(self.settings)
        except ConfigError as exc:
            raise AppImportError("\n".join(f"error: {problem}" for problem in exc.problems)) from exc
        services: Services = app.extensions[EXTENSION]
        self._services = services
        allowed = AllowedHosts.of(self.settings.host, self.settings.allowed_hosts)
        metrics = endpoint(self.settings.host, self.settings.metrics_port, services.metrics.registry, allowed)
        services.background.enter_context(metrics)
        address = _address(self.settings, self.settings.port)
        _log.info("search page  http://%s/", address)
        _log.info("API          http://%s/apidocs/", address)
        _log.info("metrics      http://%s/metrics", _address(self.settings, self.settings.metrics_port))
        return app

    def run(self) -> None:
        parent = os.getpid()
        try:
            Arbiter(self).run()
        except SystemExit as exc:  # the worker, a fork of this process, passes here too, and tells its parent by its own code
            if exc.code == Arbiter.APP_LOAD_ERROR and os.getpid() == parent:
                raise SystemExit(2) from None
            raise

    def _close(self, _arbiter: Any, _worker: Any) -> None:
        if self._services is not None:
            self._services.close()


def _address(settings: Settings, port: int) -> str:
    return f"[{settings.host}]:{port}" if ":" in settings.host else f"{settings.host}:{port}"


class _PropagatingLogger(Logger):  # type: ignore[misc]  # gunicorn ships no types
    """Leaves formatting to the process's own JSON handler; access lines are written by the application."""

    def setup(self, cfg: Any) -> None:  # noqa: ARG002 - gunicorn's signature
        self.error_log.propagate = True
        self.error_log.setLevel(logging.INFO)
        self.access_log.propagate = False

    def exception(self, msg: object, *args: object, **kwargs: Any) -> None:
        """A client that falls silent in the middle of a request is no error of ours."""
        if isinstance(sys.exc_info()[1], BlockingIOError):
            self.error_log.info("gave up a client that was silent for %d s", SILENCE_S)
        else:
            super().exception(msg, *args, **kwargs)
