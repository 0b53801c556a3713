"""HTTP client of commands for the running service, which alone can open an embedded store.

The service is found by its row in the database. If it requires API keys, the command creates one for itself, and deletes it at the
end: whoever can write to the database can create keys.
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
from ml_api.indexing.jobs.heartbeat import Owners, is_of_this_machine
from ml_api.services import database_of, target_of
from ml_api.settings import Settings

START_S: Final = 120.0
"""Longest wait for a service that is starting or overloaded."""
LOOK_EVERY_S: Final = 0.2
ANSWER_S: Final = 60.0
KEY_S: Final = 24 * 3600.0
KNOWN_S: Final = 5.0
"""How long a service may take to learn of a new key: it looks for unknown ones once a second."""


class RunningService:
    """Proxies of the environment are not used."""

    def __init__(self, owner: OwnerRow, database: Database, opened: ExitStack) -> None:
        self.corpus = owner.corpus
        """The location of the corpus that it serves."""
        self._address = owner.address
        self._database = database
        self._opened = opened
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._key = ""
        self._lent_at = 0.0

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> bytes:
        """The body of the answer. Retries with a key if one is required, and while the service is starting or overloaded. Raises
        Unavailable, InvalidInput."""
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
    """A service of this collection that can be reached from this machine; None if there is none.

    Raises DatabaseUnavailable, and ConfigError also if the command was given another model than the service has.
    """
    with ExitStack() as opened:
        database = opened.enter_context(closing(database_of(settings)))
        owner = _reachable(database, target_of(settings))
        if owner:
            require_given_model(settings, owner.model)
        yield RunningService(owner, database, opened) if owner else None


def _reachable(database: Database, target: str) -> OwnerRow | None:
    for owner in Owners(database).services(target):
        host = urlsplit(owner.address).hostname
        if host and (is_of_this_machine(owner.name) or not is_loopback(host)):
            return owner
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
