"""Runs claimed jobs. Their progress and their end are written to the database, which says whether they are cancelled."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from ml_api.batched import batched
from ml_api.database.tables import JobFileRow
from ml_api.errors import DatabaseUnavailable, MlApiError, SyncRefused
from ml_api.indexing.jobs.heartbeat import Owners
from ml_api.indexing.jobs.jobs import Job, Jobs
from ml_api.indexing.jobs.options import Operation, SyncOptions
from ml_api.indexing.recorder import Progress
from ml_api.indexing.report import NO_REPORT, FailureReport, FileOutcome, Report, Reports, SyncReport, log_failure
from ml_api.indexing.sync import Indexer
from ml_api.indexing.tasks import AT_ONCE
from ml_api.vocabulary import JobState

TELL_EVERY_S: Final = 0.5
PATIENCE_S: Final = 10.0
"""How long the end of a job waits during an outage of the database."""
MAX_WAITING: Final = 100_000
"""Files whose outcomes wait for the database: some 20 MB."""
PLAN: Final = "plan"
PLAN_LINES: Final = "plan_lines"
"""In the report of a dry run: what would be done, for programs and for people."""
LINES: Final = "lines"
"""In the report of an operation: what was done, for people."""
UNEXPECTED: Final = "an unexpected error, which the log has"
CANCELLED: Final = "cancelled"
TOLD_TO_STOP: Final = "its process was stopped"

OpenIndexer = Callable[[SyncOptions], AbstractContextManager[Indexer]]

_log = logging.getLogger(__name__)


def run_sync(  # noqa: PLR0913, PLR0917 - what is run, and who gets its progress
    jobs: Jobs,
    job: Job,
    open_indexer: OpenIndexer,
    stop: Callable[[], bool] = lambda: False,
    progress: Progress = lambda _report: None,
    files: Report = NO_REPORT,
) -> SyncReport:
    """Run a claimed sync until it is done, cancelled, or `stop` returns True. Raises its errors, which the job records."""
    run = _JobRun(jobs, job, stop, progress)
    with _ending(run), open_indexer(job.options) as indexer:
        plan = indexer.plan(job.options.consent)
        run.tell(0, plan.total)
        report = indexer.run(plan, run.advance, run.should_stop, Reports(FailureReport(log_failure), run, files))
    if report.stopped:
        run.end(JobState.STOPPED, TOLD_TO_STOP if stop() else CANCELLED)
    elif report.model_failed:
        run.end(JobState.FAILED, report.model_failure)
    else:
        run.end(JobState.SUCCEEDED)
    return report


def give_up_if_dead(jobs: Jobs, job: Job, owners: Owners) -> bool:
    """Whether the process that runs `job` is dead; then the job is given up."""
    is_dead = owners.is_gone(job.owner) and jobs.give_up(job)
    if is_dead:
        _log.warning("%s %d: the process that ran it has ended", job.options.kind, job.id)
    return is_dead


def run_dry_run(jobs: Jobs, job: Job, open_indexer: OpenIndexer) -> None:
    """Run a claimed dry run, whose report is a plan. Raises the errors of planning, which the job records."""
    run = _JobRun(jobs, job, lambda: False, lambda _report: None)
    with _ending(run), open_indexer(job.options) as indexer:
        preview = indexer.preview(job.options.consent)
    run.end(JobState.SUCCEEDED, report={PLAN: preview.as_json(), PLAN_LINES: preview.lines()})


def storable(text: str) -> str:
    """A key or a reason that every database can store: PostgreSQL has no NUL, and no database has lone surrogates."""
    return text.replace("\0", "\N{SYMBOL FOR NULL}").encode(errors="replace").decode()


@dataclass(frozen=True, slots=True)
class Follower:
    """The caller of an operation, which shows its progress and may stop it."""

    progress: Callable[[int, int], None]
    """Called with the work done and the total."""
    stop: Callable[[], bool]
    """Whether to stop after the batch under way; asked often."""


RunOperation = Callable[[Operation, Follower], list[str]]
"""Carries out an operation, and returns lines that describe the result. What was done before a stop stays done."""


def run_operation(jobs: Jobs, job: Job, operations: RunOperation, stop: Callable[[], bool] = lambda: False) -> list[str]:
    """Run a claimed operation. Raises its errors, which the job records."""
    assert job.options.operation is not None
    run = _JobRun(jobs, job, stop, lambda _report: None)
    with _ending(run):
        lines = operations(job.options.operation, Follower(run.reach, run.should_stop))
    if run.was_stopped:  # not: if it should stop now, as it may have done all of it before
        run.end(JobState.STOPPED, TOLD_TO_STOP if stop() else CANCELLED, report={LINES: lines})
    else:
        run.end(JobState.SUCCEEDED, report={LINES: lines})
    return lines


@contextmanager
def _ending(run: "_JobRun") -> Iterator[None]:
    """Record in the job how it failed."""
    try:
        yield
    except SyncRefused as exc:
        run.end(JobState.REFUSED, exc.detail)
        raise
    except MlApiError as exc:
        run.end(JobState.FAILED, exc.detail)
        raise
    except BaseException:
        run.end(JobState.FAILED, UNEXPECTED)
        raise


class _JobRun:
    """A job under way: writes its progress, and reads whether it is cancelled. An outage of the database does not stop it."""

    def __init__(self, jobs: Jobs, job: Job, stop: Callable[[], bool], progress: Progress) -> None:
        self._jobs = jobs
        self._job = job
        self._stop = stop
        self._progress = progress
        self._report: SyncReport | None = None
        self._counts = (0, 0)
        self._told_at = 0.0
        self._named: list[FileOutcome] = []
        """Outcomes of files that are not in the database yet."""
        self._numbered = 0
        self._cancelled = False
        self.was_stopped = False
        """Whether the job was asked to stop."""
        self._is_silent = False

    def advance(self, report: SyncReport) -> None:
        self._report = report
        self._progress(report)
        self._counts = (report.done, report.total)

    def reach(self, done: int, total: int) -> None:
        self._counts = (done, total)

    def write(self, files: Sequence[FileOutcome]) -> None:
        """As a Report: at the next `tell`. While the database is away, more than MAX_WAITING are not kept."""
        self._named += files[: max(0, MAX_WAITING - len(self._named))]

    def should_stop(self) -> bool:
        if time.monotonic() - self._told_at > TELL_EVERY_S:
            self.tell(*self._counts)
        self.was_stopped = self._cancelled or self._stop()
        return self.was_stopped

    def tell(self, done: int, total: int) -> None:
        self._counts = (done, total)
        try:
            self._cancelled = not self._jobs.tell(self._job, done, total)
            self._add_files()
            self._is_silent = False
        except DatabaseUnavailable as exc:
            if not self._is_silent:
                what = (self._job.options.kind, self._job.id, exc.detail)
                _log.warning("%s %d goes on, though its progress cannot be kept: %s", *what)
            self._is_silent = True
        self._told_at = time.monotonic()

    def end(self, state: JobState, error: str = "", **values: Any) -> None:
        values |= {"done": self._counts[0], "total": self._counts[1]}
        if self._report is not None:
            values |= {"report": self._report.as_json(), "done": self._report.done, "total": self._report.total}
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                self._add_files()
                self._jobs.finish(self._job, state, error, **values)
            except DatabaseUnavailable as exc:
                if time.monotonic() > until or self._stop():
                    what = (self._job.options.kind, self._job.id, state, exc.detail)
                    _log.error("the end of %s %d (%s) cannot be kept: %s", *what)
                    return
                time.sleep(TELL_EVERY_S)
            else:
                return

    def _add_files(self) -> None:
        for some in list(batched(self._named, AT_ONCE)):
            rows = [
                JobFileRow(
                    job=self._job.id,
                    number=number,
                    key=storable(file.key),
                    outcome=file.outcome,
                    code=file.code or "",
                    reason=storable(file.reason),
                )
                for number, file in enumerate(some, self._numbered)
            ]
            self._jobs.add_files(rows)
            self._numbered += len(some)
            del self._named[: len(some)]
