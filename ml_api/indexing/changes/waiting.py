"""The keys that wait to be looked at: durable before anybody is told so, and forgotten only by who looked after the last notice.

A row says no more than "look at this key again". What there is to do is found when somebody looks: the corpus is the truth. So
notices may come twice, in any order or too late, and a process that dies leaves its rows for the next.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import ColumnElement, delete, exists, func, null, select, update
from sqlalchemy.orm import Session

from ml_api.batched import batched
from ml_api.database import Database
from ml_api.database.tables import ChangeRow
from ml_api.deadline import Deadline
from ml_api.errors import DatabaseUnavailable
from ml_api.indexing.changes.conditions import (
    GONE_AFTER_S,
    Source,
    is_due,
    is_followed,
    is_left_to_a_sync,
    is_looked_at,
    is_written,
)
from ml_api.indexing.changes.rows import Change, noting, row_of, storable
from ml_api.indexing.tasks import AT_ONCE
from ml_api.records import image_id

LEASE_S: Final = 120.0
"""How long what was claimed is left to who claimed it. Where one process alone has the database, `begin` ends it at its start."""
WRITE_S: Final = 60.0
"""How long a write to the corpus may take, until it is looked for what became of it."""
LOOK_EVERY_S: Final = 0.25
"""How often who waits asks for what another process has done; of what this one does it hears at once."""
SYNC_BEGINS_S: Final = 60.0
"""After the start of a process at the latest, if it watches: until then it finds all folders, of which there may be many."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many keys wait, and since when the oldest does: seconds since the epoch, 0 if none."""

    waiting: int
    oldest_at: float


class Changes:
    """Those of one corpus. May be used from any thread and any number of processes. Everything raises DatabaseUnavailable."""

    def __init__(self, database: Database, corpus: str) -> None:
        """`corpus` is its location."""
        self._database = database
        self._corpus = corpus
        self._listeners: list[Callable[[], None]] = []
        self._beginning: bool | None = None
        """Whether the process has the database alone, until that is written."""
        self._settled = threading.Condition()
        self._settlements = 0

    def on_notice(self, listener: Callable[[], None]) -> None:
        """Call it after every notice that this process takes."""
        self._listeners.append(listener)

    def forget(self, listener: Callable[[], None]) -> None:
        self._listeners = [one for one in self._listeners if one != listener]

    @contextmanager
    def around(self, key: str, facts: Mapping[str, Any] | None = None, deadline: Deadline | None = None) -> Iterator[None]:
        """Announce what is about to be done to the file under this key, and note the key when it is done, or has failed.

        Nothing is done if it is not announced by the `deadline`. Should this process die in between, the key is looked at WRITE_S
        later, or at the next start. `facts` count if it was done.
        """
        if storable(key):
            with self._database.write(deadline) as session:
                announced = row_of(self._corpus, key, Source.UPLOAD, time.time() + WRITE_S)
                session.execute(noting(self._database, [announced], ("notice",)))
        try:
            yield
        except BaseException:
            self.note([key], Source.UPLOAD)
            raise
        self.note([key], Source.UPLOAD, facts)

    def note(self, keys: Iterable[str], source: Source, facts: Mapping[str, Any] | None = None, *, gone: Iterable[str] = ()) -> int:
        """How many were taken, durable when it returns. Keys that no database can hold name no image, and are left out.

        `gone` are keys of watched files that are not there any more. They wait for all watched files that are noted until
        GONE_AFTER_S from now, and for a sync that is wanted or begins later: if one of their files is the same, it takes over its
        vector and what was edited. A sync that runs already has listed the file where it was, so that it is not waited for.
        """
        due = 0.0 if source is Source.UPLOAD else time.time()
        rows = {key: row_of(self._corpus, key, source, due, facts) for key in filter(storable, keys)}
        later = time.time() + GONE_AFTER_S
        rows |= {key: row_of(self._corpus, key, Source.GONE, later) | {"received_at": later} for key in filter(storable, gone)}
        if not rows:
            return 0
        with self._database.write() as session:
            for some in batched((rows[key] for key in sorted(rows)), AT_ONCE):  # in order: no deadlocks
                renewed = ("notice", "source", "not_before", "attempts", "error", "after_sync")
                session.execute(noting(self._database, some, renewed))
        self._tell()
        return len(rows)

    def claim(self, most: int) -> list[Change]:
        """Those that are due, the most urgent first. Whoever claimed them has LEASE_S until others may."""
        now = time.time()
        with self._database.write() as session:
            if self._beginning is not None:
                self._begin(session, alone=self._beginning)
            due = select(ChangeRow).where(*is_due(self._corpus, now)).order_by(ChangeRow.not_before).limit(most)
            rows = session.scalars(due.with_for_update(skip_locked=True)).all()
            for row in rows:
                row.claimed_until = now + LEASE_S
            claimed = [Change(row.key, row.notice, Source(row.source), row.attempts, row.facts, now + LEASE_S) for row in rows]
        self._beginning = None
        return claimed

    def uploaded(self, image: str) -> str | None:
        """The key with this id that waits since an upload or a deletion; None if there is none."""
        waiting = select(ChangeRow.key).where(ChangeRow.corpus == self._corpus, ChangeRow.source == Source.UPLOAD.value)
        with self._database.read() as session:
            return next((key for key in session.scalars(waiting) if image_id(key) == image), None)

    def settle(self, changes: Sequence[Change]) -> None:
        """They were looked at. While a sync runs they are kept for another look: it may write what it read before this one.

        So may a migration, whose vectors are not in use yet, and an import.
        """
        if not changes:
            return
        with self._database.write() as session:
            if session.scalar(select(is_written(self._corpus))):
                kept = {"after_sync": True, "not_before": time.time(), "attempts": 0, "error": "", "facts": null()}
                self._leave(session, changes, kept)
            else:
                session.execute(delete(ChangeRow).where(self._still(changes)))
                self._leave(session, changes, {})
        with self._settled:
            self._settlements += 1
            self._settled.notify_all()

    def vanish(self, changes: Sequence[Change]) -> None:
        """Watched files that were not there any more when they were looked at. They may have moved, which nobody has told yet: they
        wait as those that are `gone`, and for a sync with which a watcher begins, or that runs already.
        """
        now = time.time()
        gone = {
            "source": Source.GONE.value,
            "received_at": now + GONE_AFTER_S,
            "not_before": now + SYNC_BEGINS_S,
            "attempts": 0,
        }
        with self._database.write() as session:
            after_sync = bool(session.scalar(select(is_written(self._corpus))))
            self._leave(session, changes, gone | {"after_sync": after_sync, "error": ""})

    @contextmanager
    def followed(self, keys: Sequence[str]) -> Iterator[AbstractSet[str]]:
        """Those of `keys` that somebody looks at now or soon, or has looked at and will look at again after the job that runs.

        For a job that writes, in this context, what it read before: not of those, as the look counts. What another process looks
        at while the context lasts is looked at once more, at once: the job may have written last. While the database is away,
        that look comes after the job.
        """
        left: AbstractSet[str] = frozenset()
        with suppress(DatabaseUnavailable):
            left = self._among(keys, is_followed(self._corpus, time.time()))
        try:
            yield left
        finally:
            with suppress(DatabaseUnavailable):
                self._look_again(self._among(keys, is_looked_at(time.time())) - left)

    def retry(self, changes: Sequence[Change], wait_s: float, error: str) -> None:
        """Nothing came of them: they are due again after `wait_s`."""
        again = {"not_before": time.time() + wait_s, "attempts": ChangeRow.attempts + 1, "error": error[:500]}
        with self._database.write() as session:
            self._leave(session, changes, again)

    def begin(self, *, alone: bool) -> None:
        """At the start of a process: what is gone waits for the sync with which a watcher begins, which may find it elsewhere.

        Who has the database `alone` looks at once at what an earlier process had claimed, or wanted to try later. It is written
        before anything is claimed, so that a start does not wait for a database that is away, or that another program writes to.
        """
        self._beginning = alone

    def wait(self, key: str, deadline: Deadline) -> bool:
        """Wait until somebody has looked at the key after its last notice. False if the time was up before."""
        while True:
            before = self._settlements
            if self._is_settled(key):
                return True
            if (left_s := deadline.at - perf_counter()) <= 0:
                return False
            with self._settled:
                self._settled.wait_for(lambda: self._settlements != before, min(LOOK_EVERY_S, left_s))  # noqa: B023 - until then

    def backlog(self) -> Backlog:
        """Without those that wait for the end of a sync: they were looked at, or are for it to look at."""
        of_these = select(func.count(), func.min(ChangeRow.received_at)).where(
            ChangeRow.corpus == self._corpus, ChangeRow.after_sync.is_(False), ~is_left_to_a_sync(self._corpus)
        )
        with self._database.read() as session:
            waiting, oldest_at = session.execute(of_these).one()
        return Backlog(waiting, oldest_at or 0.0)

    def _is_settled(self, key: str) -> bool:
        if not storable(key):
            return True
        unseen = ChangeRow.corpus == self._corpus, ChangeRow.key == key, ChangeRow.after_sync.is_(False)
        with self._database.read() as session:
            return not session.scalar(select(exists().where(*unseen)))

    def _among(self, keys: Sequence[str], condition: ColumnElement[bool]) -> set[str]:
        rows = select(ChangeRow.key).where(ChangeRow.corpus == self._corpus, ChangeRow.key.in_(keys), condition)
        with self._database.read() as session:
            return set(session.scalars(rows))

    def _begin(self, session: Session, *, alone: bool) -> None:
        ours = update(ChangeRow).where(ChangeRow.corpus == self._corpus)
        if alone:
            session.execute(ours.values(not_before=0.0, claimed_until=0.0))
        session.execute(ours.where(ChangeRow.source == Source.GONE.value).values(not_before=time.time() + SYNC_BEGINS_S))

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()

    def _look_again(self, keys: AbstractSet[str]) -> None:
        if not keys:
            return
        again = {"notice": uuid4().hex, "not_before": time.time(), "after_sync": False}
        with self._database.write() as session:
            session.execute(update(ChangeRow).where(ChangeRow.corpus == self._corpus, ChangeRow.key.in_(keys)).values(again))
        self._tell()

    def _leave(self, session: Session, changes: Sequence[Change], values: Mapping[str, Any]) -> None:
        """To others: as they are, or, where no later notice has come, with these values."""
        if values:
            session.execute(update(ChangeRow).where(self._still(changes)).values({**values, "claimed_until": 0.0}))
        session.execute(update(ChangeRow).where(self._claimed(changes)).values(claimed_until=0.0))

    def _still(self, changes: Sequence[Change]) -> ColumnElement[bool]:
        """The rows of these, except where a later notice has come, or another claim."""
        return self._claimed(changes) & ChangeRow.notice.in_([change.notice for change in changes])

    def _claimed(self, changes: Sequence[Change]) -> ColumnElement[bool]:
        keys, until = [change.key for change in changes], {change.claimed_until for change in changes}
        return (ChangeRow.corpus == self._corpus) & ChangeRow.key.in_(keys) & ChangeRow.claimed_until.in_(until)
