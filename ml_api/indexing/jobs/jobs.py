"""Jobs as rows of the database. One job of a collection is active at a time, across processes and machines.

A running job belongs to the process that claimed it: writes of other processes, and of that one after it was given up, have no
effect.
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
"""Jobs of a collection that are kept, with the outcomes of their files."""
MAX_ID: Final = 2**31 - 1
"""The largest number in PostgreSQL's column."""
ACTIVE: Final = (JobState.QUEUED, JobState.RUNNING)
ENDED_EARLY: Final = "its process ended; what was done until then is kept"


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it was when it was read. Times are seconds since the epoch, by the clock of the process that wrote them."""

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
    """Why this version cannot read the options, which another one has written; `options` are those of a sync then."""

    @property
    def active(self) -> bool:
        return self.state in ACTIVE


class Jobs:
    """The jobs of one collection (`target`). Thread-safe. Every method raises DatabaseUnavailable."""

    def __init__(self, database: Database, target: str, corpus: str, measured: JobMetrics | None = None) -> None:
        """`measured`: the metrics of a service that runs jobs."""
        self._database = database
        self._measured = measured
        self.target = target
        self.corpus = corpus

    def submit(self, options: SyncOptions) -> tuple[Job, bool]:
        """A new job, or the active one if that is a sync or dry run of the same corpus, too; and whether it is new.

        Raises SyncRefused if the active job is of another corpus or kind, or an operation.
        """
        while True:
            try:
                return self._submit(options)
            except IntegrityError:  # another process was faster; its job may have ended by now
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
        """The jobs that have ended, the last one first."""
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
        """Claim the queued job of this corpus for `owner`, which runs it; None if there is none.

        A job that this version cannot read fails, so that it does not block others.
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
        """Write the progress of a job; returns whether it may continue."""
        with self._database.write() as session:
            is_ours = _change(session, job.id, _run_by(job.owner), done=done, total=total)
            return is_ours and not session.scalar(select(JobRow.stop_wanted).where(JobRow.id == job.id))

    def add_files(self, files: Sequence[JobFileRow]) -> None:
        """Safe to repeat, as a connection may break after the database has committed."""
        with suppress(IntegrityError), self._database.write() as session:
            session.add_all(files)

    def finish(self, job: Job, state: JobState, error: str = "", **values: Any) -> bool:
        """End a job, and delete the oldest. Returns False, without effect, for a job that has ended or was given up."""
        with self._database.write() as session:
            had_effect = _change(session, job.id, _run_by(job.owner), state=state, error=error, ended_at=time.time(), **values)
            kept = select(JobRow.id).where(JobRow.target == self.target).order_by(JobRow.id.desc()).offset(KEPT)
            old = session.scalars(kept).all()
            session.execute(delete(JobFileRow).where(JobFileRow.job.in_(old)))
            session.execute(delete(JobRow).where(JobRow.id.in_(old)))
        if had_effect and self._measured is not None and not job.unreadable:  # the kind of an unreadable job is unknown
            self._measured.ended(job.options.kind, state, time.time() - (job.started_at or job.requested_at))
        return had_effect

    def give_up(self, job: Job) -> bool:
        """End a job whose owner has died. Returns False if it had ended before."""
        return self.finish(job, JobState.FAILED, ENDED_EARLY)

    def cancel(self, job: int) -> Job:
        """Stop a job: at once if it is queued, after its batch if it is running. Raises NotFound."""
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
    """Update a job for which the condition `only` holds; returns whether there is one."""
    result = session.execute(update(JobRow).where(JobRow.id == job, only).values(**values))
    return bool(result.rowcount)  # type: ignore[attr-defined]  # an UPDATE's result is a CursorResult


def _job(row: JobRow) -> Job:
    try:
        options, unreadable = options_of(row.options), ""
    except InvalidInput as exc:
        options, unreadable = SyncOptions(), exc.detail
    known = row.state in set(JobState)  # an unknown state is not among the active ones
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
