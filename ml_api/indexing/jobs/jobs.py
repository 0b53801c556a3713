"""Jobs as rows of the database: wanted, running, over. Of one collection one is active at a time, across processes and machines.

A row belongs to whoever claimed it: what others write to it, or its former owner after it was given up, has no effect.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from ml_api.database import Database
from ml_api.database.tables import JobFileRow, JobRow
from ml_api.errors import InvalidInput, NotFound, SyncRefused
from ml_api.indexing.jobs.options import SyncOptions, options_of, row_of
from ml_api.metrics.jobs import JobMetrics
from ml_api.vocabulary import JobState

KEPT: Final = 20
"""Jobs of a collection that are remembered, with their files."""
MAX_ID: Final = 2**31 - 1
"""The largest number in PostgreSQL's column."""
ACTIVE: Final = (JobState.QUEUED, JobState.RUNNING)
ENDED_EARLY: Final = "its process ended; what was done until then is kept"


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it was when it was looked at. Times are seconds since the epoch, by the clock of whoever wrote them."""

    id: int
    corpus: str
    state: JobState
    options: SyncOptions
    requested_at: float
    started_at: float | None
    ended_at: float | None
    owner: str
    stop_wanted: bool
    done: int
    total: int
    report: dict[str, Any]
    error: str
    unreadable: str = ""
    """What of its options this version cannot read, as another one has written them; `options` are those of a sync then."""

    @property
    def active(self) -> bool:
        return self.state in ACTIVE


class Jobs:
    """Those of one collection (`target`). Every method raises DatabaseUnavailable. May be used from any thread."""

    def __init__(self, database: Database, target: str, corpus: str, measured: JobMetrics | None = None) -> None:
        """`measured` are the metrics of the service that runs them."""
        self._database = database
        self._measured = measured
        self.target = target
        self.corpus = corpus

    def submit(self, options: SyncOptions) -> tuple[Job, bool]:
        """A new job, or the sync or dry run of its kind that is active, and whether it is new.

        Raises SyncRefused if what is active is of another corpus or another kind, or an operation.
        """
        while True:
            try:
                return self._submit(options)
            except IntegrityError:  # another process was faster; its sync may be over by now
                continue

    def get(self, job: int) -> Job:
        """Raises NotFound."""
        with self._database.read() as session:
            row = session.get(JobRow, job) if job <= MAX_ID else None
        if row is None or row.target != self.target:
            raise NotFound(f"there is no sync {job}, or it is forgotten: the last {KEPT} are kept")
        return _job(row)

    def active(self) -> Job | None:
        with self._database.read() as session:
            row = _active(session, self.target)
        job = None if row is None else _job(row)
        if self._measured is not None:
            self._measured.set_active(None if job is None else job.state)
        return job

    def last(self, most: int = KEPT) -> list[Job]:
        """Those that are over, the last one first."""
        wanted = select(JobRow).where(JobRow.target == self.target, JobRow.state.not_in(ACTIVE))
        with self._database.read() as session:
            return [_job(row) for row in session.scalars(wanted.order_by(JobRow.id.desc()).limit(most))]

    def files(self, job: int, outcome: str | None, after: int, most: int) -> list[JobFileRow]:
        """The files in the report of `job` that are numbered above `after`, in order. Raises NotFound."""
        self.get(job)
        wanted = select(JobFileRow).where(JobFileRow.job == job, JobFileRow.number > after)
        if outcome is not None:
            wanted = wanted.where(JobFileRow.outcome == outcome)
        with self._database.read() as session:
            return list(session.scalars(wanted.order_by(JobFileRow.number).limit(most)))

    def claim(self, owner: str) -> Job | None:
        """The sync of this corpus that waits, which is `owner`'s to run from now on.

        One that this version cannot read has failed, so that it keeps no other waiting.
        """
        with self._database.write() as session:
            waiting = select(JobRow.id).where(
                JobRow.target == self.target, JobRow.corpus == self.corpus, JobRow.state == JobState.QUEUED
            )
            job = session.scalar(waiting)
            is_ours = job is not None and _change(
                session, job, JobRow.state == JobState.QUEUED, state=JobState.RUNNING, owner=owner, started_at=time.time()
            )
            row = session.get(JobRow, job) if is_ours else None
        if row is None:
            return None
        claimed = _job(row)
        if claimed.unreadable:
            self.finish(claimed, JobState.FAILED, claimed.unreadable)
            return None
        if self._measured is not None:
            self._measured.set_active(JobState.RUNNING)
        return claimed

    def tell(self, job: Job, done: int, total: int) -> bool:
        """Note how far its owner has come; whether it shall go on."""
        with self._database.write() as session:
            is_ours = _change(session, job.id, _run_by(job.owner), done=done, total=total)
            return is_ours and not session.scalar(select(JobRow.stop_wanted).where(JobRow.id == job.id))

    def add_files(self, files: Sequence[JobFileRow]) -> None:
        """Safe to repeat: a connection may break after the database has taken them."""
        with suppress(IntegrityError), self._database.write() as session:
            session.add_all(files)

    def finish(self, job: Job, state: JobState, error: str = "", **values: Any) -> bool:
        """Its owner is done with it. Forgets the oldest. No effect on a job that is over or was given up: whether it had one."""
        with self._database.write() as session:
            had_effect = _change(session, job.id, _run_by(job.owner), state=state, error=error, ended_at=time.time(), **values)
            kept = select(JobRow.id).where(JobRow.target == self.target).order_by(JobRow.id.desc()).offset(KEPT)
            old = session.scalars(kept).all()
            session.execute(delete(JobFileRow).where(JobFileRow.job.in_(old)))
            session.execute(delete(JobRow).where(JobRow.id.in_(old)))
        if had_effect and self._measured is not None and not job.unreadable:  # of what kind that was nobody here knows
            self._measured.ended(job.options.kind, state, time.time() - (job.started_at or job.requested_at))
        return had_effect

    def give_up(self, job: Job) -> bool:
        """Its owner is gone. Whether that left it unfinished."""
        return self.finish(job, JobState.FAILED, ENDED_EARLY)

    def cancel(self, job: int) -> Job:
        """Stop it: at once if it waits, after its batch if it runs, and no effect on one that is over. Raises NotFound."""
        self.get(job)
        with self._database.write() as session:
            stopped = {"state": JobState.STOPPED, "error": "cancelled before it began", "ended_at": time.time()}
            if not _change(session, job, JobRow.state == JobState.QUEUED, stop_wanted=True, **stopped):
                _change(session, job, JobRow.state == JobState.RUNNING, stop_wanted=True)
        return self.get(job)

    def _submit(self, options: SyncOptions) -> tuple[Job, bool]:
        with self._database.write() as session:
            row = _active(session, self.target)
            is_new = row is None
            if row is None:
                number = (session.scalar(select(func.max(JobRow.id))) or 0) + 1
                row = JobRow(id=number, target=self.target, corpus=self.corpus, state=JobState.QUEUED, options=row_of(options))
                row.requested_at = time.time()
                session.add(row)
                session.flush()
            if row.corpus != self.corpus:
                raise SyncRefused(f"sync {row.id} of {row.corpus} into this collection is under way; nothing was changed")
            job = _job(row)
            if not is_new and (job.unreadable or job.options.kind is not options.kind or options.operation is not None):
                active = "job" if job.unreadable else job.options.kind
                raise SyncRefused(f"{active} {job.id} is under way; ask for the {options.kind} again when it is over")
            return job, is_new


def _active(session: Session, target: str) -> JobRow | None:
    return session.scalar(select(JobRow).where(JobRow.target == target, JobRow.state.in_(ACTIVE)))


def _run_by(owner: str) -> Any:
    return (JobRow.state == JobState.RUNNING) & (JobRow.owner == owner)


def _change(session: Session, job: int, only: Any, **values: Any) -> bool:
    """Whether there is such a job of which `only` holds."""
    result = session.execute(update(JobRow).where(JobRow.id == job, only).values(**values))
    return bool(result.rowcount)  # type: ignore[attr-defined]  # an UPDATE's result is a CursorResult


def _job(row: JobRow) -> Job:
    try:
        options, unreadable = options_of(row.options), ""
    except InvalidInput as exc:
        options, unreadable = SyncOptions(), exc.detail
    known = row.state in set(JobState)  # what is not is over: it is not among the active
    return Job(
        id=row.id,
        corpus=row.corpus,
        state=JobState(row.state) if known else JobState.FAILED,
        options=options,
        requested_at=row.requested_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        owner=row.owner,
        stop_wanted=row.stop_wanted,
        done=row.done,
        total=row.total,
        report=row.report,
        error=row.error if known else f"it is {row.state}, which this version does not know",
        unreadable=unreadable,
    )
