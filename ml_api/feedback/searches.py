"""Keeps recent searches in the database, so that their hits can be judged. No search waits for the database, or fails with it."""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from sqlalchemy import ColumnElement, delete, exists, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from ml_api.database import Database
from ml_api.database.tables import JudgementRow, SearchRow
from ml_api.errors import DatabaseUnavailable
from ml_api.logs.throttle import LogThrottle
from ml_api.metrics.feedback import FeedbackMetrics

WRITE_EVERY_S: Final = {"sqlite": 10.0, "postgresql": 1.0}
"""Interval between writes, by the kind of database. A transaction takes 2 ms of a core; with PostgreSQL, other replicas soon get
verdicts on these searches."""
WAITING: Final = 5000
"""The most searches that wait to be written; while the database is away, the oldest are dropped."""
AT_ONCE: Final = 500
"""Searches of one transaction; when this many wait, they are written at once."""
TIDY_EVERY_S: Final = 300.0
REMOVED_AT_ONCE: Final = 1000
MAX_JUDGEMENTS: Final = 1_000_000
"""Beyond this number, the oldest judgements are removed."""
DAY_S: Final = 86_400.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PastSearch:
    """A search that was answered. `query` is its request, in JSON's types; `hits` are the ids of its hits, then of the images that
    were grouped with them."""

    query_id: str
    model: str
    query: Mapping[str, Any]
    hits: tuple[str, ...]
    first_rank: int
    answered_at: float


@dataclass(frozen=True, slots=True)
class Retention:
    """How many searches without a verdict are kept, and for how long."""

    searches: int
    days: float


class RecentSearches:
    """The recent searches of one collection. May be used from any thread and any number of processes."""

    def __init__(self, database: Database, target: str, retention: Retention, metrics: FeedbackMetrics) -> None:
        self.database = database
        self.target = target
        self.retention = retention
        self._metrics = metrics
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._waiting: dict[str, PastSearch] = {}
        """The searches to be written by id, the oldest first. They stay here until they are written."""
        self._written = 0
        """Searches written since the last `_tidy_up`."""
        self._tidy_at = 0.0
        self._outages = LogThrottle(_log)
        self.on_many: Callable[[], None] = lambda: None
        """Called when as many searches wait as a transaction takes."""

    @property
    def wanted(self) -> bool:
        return self.retention.searches > 0

    @property
    def write_every_s(self) -> float:
        return WRITE_EVERY_S[self.database.backend]

    def note(self, search: PastSearch) -> None:
        """Queue a search to be written soon. Takes microseconds, and never fails."""
        with self._lock:
            self._waiting.pop(search.query_id, None)
            if len(self._waiting) >= WAITING:
                del self._waiting[next(iter(self._waiting))]
                self._metrics.unkept.inc()
            self._waiting[search.query_id] = search
            many = len(self._waiting) == AT_ONCE
        if many:
            self.on_many()

    def write_if_waiting(self, query_id: str) -> None:
        """Write the waiting searches now if this one is among them. Raises DatabaseUnavailable."""
        if query_id in self._waiting:
            self._write()

    def upkeep(self) -> None:
        """Write the waiting searches, and remove those that are too old or too many. During an outage, which is logged, they
        wait."""
        try:
            self._write()
            if time.monotonic() >= self._tidy_at or self._written > max(1000, self.retention.searches // 10):
                self._tidy_up()
        except DatabaseUnavailable as exc:
            self._outages.log(exc.slug, f"searches cannot be kept for feedback: {exc.detail}", logging.WARNING)

    def _write(self) -> None:
        """Write all waiting searches. Raises DatabaseUnavailable."""
        with self._writing:
            while True:
                with self._lock:
                    batch = list(islice(self._waiting.values(), AT_ONCE))
                if not batch:
                    return
                with self.database.write() as session:
                    self._insert(session, batch)
                self._written += len(batch)
                with self._lock:
                    for search in batch:
                        if self._waiting.get(search.query_id) is search:  # else another search with its id came meanwhile
                            del self._waiting[search.query_id]

    def _insert(self, session: Session, searches: list[PastSearch]) -> None:
        """If several searches have one id, the last counts until one is judged: clients choose the ids of their requests."""
        adding = self.database.insert(SearchRow)
        columns = [column.name for column in SearchRow.__table__.columns if not column.primary_key]
        replacing = adding.on_conflict_do_update(
            index_elements=["query_id"], set_={name: adding.excluded[name] for name in columns}, where=~judged()
        )
        session.execute(replacing, [self._row(search) for search in searches])

    def _row(self, search: PastSearch) -> dict[str, Any]:
        return {
            "query_id": search.query_id,
            "target": self.target,
            "answered_at": search.answered_at,
            "model": search.model,
            "query": json.dumps(search.query),
            "first_rank": search.first_rank,
            "hits": bytes.fromhex("".join(search.hits)),
        }

    def _tidy_up(self) -> None:
        """Remove searches and judgements beyond the limits. Raises DatabaseUnavailable."""
        of_target = SearchRow.target == self.target
        too_many = self._time_beyond(SearchRow.answered_at, self.retention.searches, of_target)
        too_old = max(time.time() - self.retention.days * DAY_S, too_many or 0.0)
        self._remove(SearchRow, of_target, SearchRow.answered_at <= too_old, ~judged())
        if (last := self._time_beyond(JudgementRow.judged_at, MAX_JUDGEMENTS)) is not None:
            self._remove(JudgementRow, JudgementRow.judged_at <= last)
        self._tidy_at, self._written = time.monotonic() + TIDY_EVERY_S, 0

    def _time_beyond(self, when: InstrumentedAttribute[float], most: int, *which: ColumnElement[bool]) -> float | None:
        """The time of the latest row beyond the `most` latest ones; None if there are no more."""
        with self.database.read() as session:
            return session.scalar(select(when).where(*which).order_by(when.desc()).offset(most).limit(1))

    def _remove(self, table: type[SearchRow | JudgementRow], *which: ColumnElement[bool]) -> None:
        """Remove rows in several transactions, so that others can write in between."""
        while True:
            with self.database.write() as session:
                ids = session.scalars(select(table.query_id).where(*which).limit(REMOVED_AT_ONCE)).all()
                session.execute(delete(table).where(table.query_id.in_(ids), *which))
            if len(ids) < REMOVED_AT_ONCE:
                return


def judged() -> ColumnElement[bool]:
    """The SQL condition that a search has a verdict on one of its hits."""
    return exists().where(JudgementRow.query_id == SearchRow.query_id)
