"""A running service, as commands ask it over HTTP: an embedded store has one owner.

A service is found by its row in the database. Where it asks for API keys, the command lends itself one: who may write the database
may make keys.
"""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from ml_api.access.keys import lent
from ml_api.access.scopes import Scope
from ml_api.addresses import is_loopback
from ml_api.cli.service_settings import require_given_model
from ml_api.database import Database
from ml_api.database.tables import OwnerRow
from ml_api.errors import InvalidInput, MlApiError, Overloaded, Starting, Unavailable
from ml_api.indexing.jobs.heartbeat import Watch, is_of_this_machine
from ml_api.services import database_of, target_of
from ml_api.settings import Settings

START_S: Final = 120.0
"""How long a service that is starting, or has as much to do as it takes, is waited for."""
LOOK_EVERY_S: Final = 0.2
ANSWER_S: Final = 60.0
KEY_S: Final = 24 * 3600.0
KNOWN_S: Final = 5.0
"""How long a service may take to learn of a new key: it looks for unknown ones once a second."""


class RunningService:
    """Asked past every proxy, as it is near."""

    def __init__(self, taker: OwnerRow, database: Database, opened: ExitStack) -> None:
        self.corpus = taker.corpus
        """The location of the corpus that it serves."""
        self._address = taker.address
        self._database = database
        self._opened = opened
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._key = ""
        self._lent_at = 0.0

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> bytes:
        """Once more with a key if one is asked for, and again while the service starts or has no room. Raises Unavailable,
        InvalidInput."""
        until = time.monotonic() + START_S
        while True:
            try:
                return self._asked_once(path, body)
            except urllib.error.HTTPError as exc:
                if exc.code == 401 and not self._key:
                    self._lend_key()
                else:
                    error, now = _error(exc), time.monotonic()
                    is_new = exc.code == 401 and now < self._lent_at + KNOWN_S
                    if not is_new and (not isinstance(error, Overloaded) or now >= until):
                        raise error from exc
                    time.sleep(LOOK_EVERY_S)
            except OSError as exc:  # URLError, too
                reason = getattr(exc, "reason", exc)
                if not isinstance(reason, ConnectionRefusedError) or time.monotonic() >= until:
                    raise Unavailable(f"the service at {self._address} cannot be asked: {reason}") from exc
                time.sleep(LOOK_EVERY_S)

    def _lend_key(self) -> None:
        lending = lent(self._database, "command line", [Scope.SEARCH], now=time.time(), for_s=KEY_S)
        self._key, self._lent_at = self._opened.enter_context(lending), time.monotonic()

    def _asked_once(self, path: str, body: Mapping[str, Any] | None) -> bytes:
        headers = {"Content-Type": "application/json"} | ({"X-API-Key": self._key} if self._key else {})
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._address + path, data, headers)  # noqa: S310 - of the row of a service of ours
        with self._opener.open(request, timeout=ANSWER_S) as answer:
            answered: bytes = answer.read()
            return answered


@contextmanager
def running_service(settings: Settings) -> Iterator[RunningService | None]:
    """One of this collection that can be reached from here; None if there is none.

    Raises DatabaseUnavailable, and ConfigError also if the command was given another model than the service has.
    """
    with ExitStack() as opened:
        database = opened.enter_context(closing(database_of(settings)))
        taker = _reachable(database, target_of(settings))
        if taker:
            require_given_model(settings, taker.model)
        yield RunningService(taker, database, opened) if taker else None


def _reachable(database: Database, target: str) -> OwnerRow | None:
    for taker in Watch(database).takers(target):
        host = urlsplit(taker.address).hostname
        if host and (is_of_this_machine(taker.name) or not is_loopback(host)):
            return taker
    return None


def _error(exc: urllib.error.HTTPError) -> MlApiError:
    try:
        problem = json.loads(exc.read())
        detail, code = str(problem["detail"]), problem.get("code")
    except (ValueError, KeyError, TypeError):
        detail, code = f"the service answered {exc.code}", ""
    if code in {Overloaded.code, Starting.code}:
        return Overloaded(detail)
    return InvalidInput(detail) if exc.code < 500 else Unavailable(detail)
