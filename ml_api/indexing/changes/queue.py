"""A durable queue of changed keys. A row is deleted only after its key was inspected later than its last notice.

A row says no more than "look at this key again"; what has to be done is found by an inspection, as the corpus is the truth. So
notices may be repeated, late and in any order, and another process inspects the rows of one that has died.
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
    is_being_written,
    is_due,
    is_inspected,
    is_left_to_a_sync,
    is_superseded,
)
from ml_api.indexing.changes.rows import Change, noting, row_of, storable
from ml_api.indexing.tasks import AT_ONCE
from ml_api.records import image_id

LEASE_S: Final = 120.0
"""Time after which another process may claim a row. If one process alone has the database, `begin` ends all leases at its start."""
WRITE_S: Final = 60.0
"""Time after which the key of an announced write is inspected, if no notice has followed."""
LOOK_EVERY_S: Final = 0.25
"""Interval at which `wait` looks for what other processes have done; this process wakes it at once."""
SYNC_BEGINS_S: Final = 60.0
"""Longest time from the start of a process to the sync of its watcher, which lists all folders first."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """The number of waiting keys, and since when the oldest waits, in seconds since the epoch; 0 if none waits."""

    waiting: int
    oldest_at: float


class Changes:
    """The queue of one corpus. Thread-safe, and shared by processes. Every method raises DatabaseUnavailable."""

    def __init__(self, database: Database, corpus: str) -> None:
        """`corpus` is its location."""
        self._database = database
        self._corpus = corpus
        self._listeners: list[Callable[[], None]] = []
        self._beginning: bool | None = None
        """The argument of `begin`, until it takes effect; None after that."""
        self._settled = threading.Condition()
        self._settlements = 0

    def on_notice(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every notice of this process."""
        self._listeners.append(listener)

    def forget(self, listener: Callable[[], None]) -> None:
        self._listeners = [one for one in self._listeners if one != listener]

    @contextmanager
    def around(self, key: str, facts: Mapping[str, Any] | None = None, deadline: Deadline | None = None) -> Iterator[None]:
        """A context for a write to the file of this key: it is announced before, and the key noted when it has ended or failed.

        Raises if the announcement fails, so that nothing is written. If this process dies in between, the key is inspected WRITE_S
        later, or at the next start. `facts` are noted if the write succeeded.
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
        """Add keys, durably; returns their number. Keys that a database cannot store name no image, and are left out.

        `gone` are keys of watched files that have disappeared. They are inspected after all watched files that are noted within
        GONE_AFTER_S, and after a sync that is queued or begins later: if one of these files has the same bytes, the image has moved
        there and keeps its vector and its edits. A running sync has listed the file at its old place, and is not waited for.
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
        """At most `most` rows that are due, the most urgent first, for LEASE_S."""
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
        """The waiting key with this id, if it was uploaded or deleted; None if there is none."""
        waiting = select(ChangeRow.key).where(ChangeRow.corpus == self._corpus, ChangeRow.source == Source.UPLOAD.value)
        with self._database.read() as session:
            return next((key for key in session.scalars(waiting) if image_id(key) == image), None)

    def settle(self, changes: Sequence[Change]) -> None:
        """Delete the rows of inspected keys. While a job runs that may write what it has read before (a sync, a migration, an
        import), they are kept for another inspection at its end.
        """
        if not changes:
            return
        with self._database.write() as session:
            if session.scalar(select(is_being_written(self._corpus))):
                kept = {"after_sync": True, "not_before": time.time(), "attempts": 0, "error": "", "facts": null()}
                self._leave(session, changes, kept)
            else:
                session.execute(delete(ChangeRow).where(self._still(changes)))
                self._leave(session, changes, {})
        with self._settled:
            self._settlements += 1
            self._settled.notify_all()

    def vanish(self, changes: Sequence[Change]) -> None:
        """Keep the rows of watched files that were missing at their inspection. They may have moved, and the notice of the new file
        may be late: they wait as those that are `gone`, and for the first sync of a watcher, or one that is running.
        """
        now = time.time()
        gone = {
            "source": Source.GONE.value,
            "received_at": now + GONE_AFTER_S,
            "not_before": now + SYNC_BEGINS_S,
            "attempts": 0,
        }
        with self._database.write() as session:
            after_sync = bool(session.scalar(select(is_being_written(self._corpus))))
            self._leave(session, changes, gone | {"after_sync": after_sync, "error": ""})

    @contextmanager
    def superseded(self, keys: Sequence[str]) -> Iterator[AbstractSet[str]]:
        """Those of `keys` that are inspected now or soon, or will be again when the running job has ended.

        A job writes records of the other keys within this context. Keys that another process inspects meanwhile are inspected once
        more afterwards, as the job may have written last; during an outage of the database, when the job has ended.
        """
        left: AbstractSet[str] = frozenset()
        with suppress(DatabaseUnavailable):
            left = self._among(keys, is_superseded(self._corpus, time.time()))
        try:
            yield left
        finally:
            with suppress(DatabaseUnavailable):
                self._look_again(self._among(keys, is_inspected(time.time())) - left)

    def retry(self, changes: Sequence[Change], wait_s: float, error: str) -> None:
        """Make the rows due again after `wait_s`, with the error of this attempt."""
        again = {"not_before": time.time() + wait_s, "attempts": ChangeRow.attempts + 1, "error": error[:500]}
        with self._database.write() as session:
            self._leave(session, changes, again)

    def begin(self, *, alone: bool) -> None:
        """To be called at the start of a process: files that are gone wait for the first sync of the watcher, which may find them.

        A process that has the database `alone` ends the leases and pauses of earlier ones. It takes effect at the first claim, so
        that a start does not wait for the database.
        """
        self._beginning = alone

    def wait(self, key: str, deadline: Deadline) -> bool:
        """Wait until the key was inspected after its last notice. Returns False if the deadline passes before."""
        while True:
            before = self._settlements
            if self._is_settled(key):
                return True
            if (left_s := deadline.at - perf_counter()) <= 0:
                return False
            with self._settled:
                self._settled.wait_for(lambda: self._settlements != before, min(LOOK_EVERY_S, left_s))  # noqa: B023 - until then

    def backlog(self) -> Backlog:
        """Without rows that wait for the end of a sync: they were inspected, or the sync inspects them."""
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
        """End the leases; rows without a later notice get `values`."""
        if values:
            session.execute(update(ChangeRow).where(self._still(changes)).values({**values, "claimed_until": 0.0}))
        session.execute(update(ChangeRow).where(self._claimed(changes)).values(claimed_until=0.0))

    def _still(self, changes: Sequence[Change]) -> ColumnElement[bool]:
        """The rows of these changes without a later notice or claim."""
        return self._claimed(changes) & ChangeRow.notice.in_([change.notice for change in changes])

    def _claimed(self, changes: Sequence[Change]) -> ColumnElement[bool]:
        keys, until = [change.key for change in changes], {change.claimed_until for change in changes}
        return (ChangeRow.corpus == self._corpus) & ChangeRow.key.in_(keys) & ChangeRow.claimed_until.in_(until)
