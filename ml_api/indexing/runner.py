"""Who runs a job: the service's own thread, or the command `sync` itself. Both tell the database the same of it."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Final

from ml_api import tracing
from ml_api.database.tables import JobFileRow
from ml_api.errors import DatabaseUnavailable, MlApiError, SyncRefused
from ml_api.indexing.account import Progress
from ml_api.indexing.jobs import Job, Jobs, SyncOptions
from ml_api.indexing.presence import SILENCE_S, Presence, Watch
from ml_api.indexing.report import NOBODY, EachFailure, FileOutcome, Report, Reports, SyncReport, tell, tell_failure
from ml_api.indexing.sync import Indexer
from ml_api.indexing.tasks import AT_ONCE, batches
from ml_api.vocabulary import JobState

LOOK_EVERY_S: Final = 0.5
"""Interval at which a runner looks for syncs that other processes want."""
TELL_EVERY_S: Final = 0.5
CLOSE_S: Final = 3.0
"""How long a stop waits for the batch under way."""
PATIENCE_S: Final = 10.0
"""How long the end of a sync waits for a database that is away."""
MOST_WAITING: Final = 100_000
"""Files whose outcomes wait for the database: some 20 MB."""
PLAN: Final = "plan"
PLAN_LINES: Final = "plan_lines"
"""In the report of a dry run: what would be done, for programs and for people."""
UNEXPECTED: Final = "an unexpected error, which the log has"
CANCELLED: Final = "cancelled"
TOLD_TO_STOP: Final = "its process was stopped"
UNKNOWN_END: Final = "how it ended could not be recorded; the log has it"

OpenIndexer = Callable[[SyncOptions], AbstractContextManager[Indexer]]

_log = logging.getLogger(__name__)


def carry_out(  # noqa: PLR0913, PLR0917 - what is run, and who follows it
    jobs: Jobs,
    job: Job,
    open_indexer: OpenIndexer,
    stop: Callable[[], bool] = lambda: False,
    progress: Progress = lambda _report: None,
    files: Report = NOBODY,
) -> SyncReport:
    """Run a claimed job until it is done, cancelled, or `stop` says so. Raises what the sync raises; the job says it, too."""
    run = _JobRun(jobs, job, stop, progress)
    with _ending(run), open_indexer(job.options) as indexer:
        plan = indexer.plan(job.options.consent)
        run.tell(0, plan.total)
        report = indexer.run(plan, run.advance, run.should_stop, Reports(EachFailure(tell_failure), run, files))
    if report.stopped:
        run.end(JobState.STOPPED, TOLD_TO_STOP if stop() else CANCELLED)
    elif report.model_failed:
        run.end(JobState.FAILED, report.model_failure)
    else:
        run.end(JobState.SUCCEEDED)
    return report


def give_up_if_dead(jobs: Jobs, job: Job, watch: Watch) -> bool:
    """Whether the process that runs `job` is dead; then the job is given up."""
    is_dead = watch.is_gone(job.owner) and jobs.give_up(job)
    if is_dead:
        _log.warning("sync %d: the process that ran it has ended", job.id)
    return is_dead


def foresee(jobs: Jobs, job: Job, open_indexer: OpenIndexer) -> None:
    """Run a claimed job that is a dry run: its report is a plan. Raises what planning raises; the job says it, too."""
    run = _JobRun(jobs, job, lambda: False, lambda _report: None)
    with _ending(run), open_indexer(job.options) as indexer:
        preview = indexer.preview(job.options.consent)
    run.end(JobState.SUCCEEDED, report={PLAN: preview.as_json(), PLAN_LINES: preview.lines()})


@contextmanager
def _ending(run: "_JobRun") -> Iterator[None]:
    """Let the job say how it failed."""
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
    """What the database is told of a job under way, and what it wants. A database that is away does not stop the sync."""

    def __init__(self, jobs: Jobs, job: Job, stop: Callable[[], bool], progress: Progress) -> None:
        self._jobs = jobs
        self._job = job
        self._stop = stop
        self._progress = progress
        self._report: SyncReport | None = None
        self._counts = (0, 0)
        self._told_at = 0.0
        self._named: list[FileOutcome] = []
        """Files that the database has not yet."""
        self._numbered = 0
        self._cancelled = False
        self._is_silent = False

    def advance(self, report: SyncReport) -> None:
        self._report = report
        self._progress(report)
        self._counts = (report.done, report.total)

    def write(self, files: Sequence[FileOutcome]) -> None:
        """As a Report: at the next `tell`. While the database is away, more than MOST_WAITING are not kept."""
        self._named += files[: max(0, MOST_WAITING - len(self._named))]

    def should_stop(self) -> bool:
        if time.monotonic() - self._told_at > TELL_EVERY_S:
            self.tell(*self._counts)
        return self._cancelled or self._stop()

    def tell(self, done: int, total: int) -> None:
        self._counts = (done, total)
        try:
            self._cancelled = not self._jobs.tell(self._job, done, total)
            self._add_files()
            self._is_silent = False
        except DatabaseUnavailable as exc:
            if not self._is_silent:
                _log.warning("sync %d goes on, though its progress cannot be kept: %s", self._job.id, exc.detail)
            self._is_silent = True
        self._told_at = time.monotonic()

    def end(self, state: JobState, error: str = "", **values: Any) -> None:
        if self._report is not None:
            values |= {"report": self._report.as_json(), "done": self._report.done, "total": self._report.total}
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                self._add_files()
                self._jobs.finish(self._job, state, error, **values)
            except DatabaseUnavailable as exc:
                if time.monotonic() > until or self._stop():
                    _log.error("the end of sync %d (%s) cannot be kept: %s", self._job.id, state, exc.detail)
                    return
                time.sleep(TELL_EVERY_S)
            else:
                return

    def _add_files(self) -> None:
        for some in list(batches(self._named, AT_ONCE)):
            rows = [
                JobFileRow(
                    job=self._job.id, number=number, key=file.key, outcome=file.outcome, code=file.code or "", reason=file.reason
                )
                for number, file in enumerate(some, self._numbered)
            ]
            self._jobs.add_files(rows)
            self._numbered += len(some)
            del self._named[: len(some)]


class SyncRunner:
    """The service's thread that runs syncs, its own and those that other processes want, one after the other."""

    def __init__(
        self, jobs: Jobs, presence: Presence, watch: Watch, open_indexer: OpenIndexer, *, patience_s: float = SILENCE_S
    ) -> None:
        """It owns `presence`, which was there before: who asks for a sync meanwhile waits for this runner.

        A sync of another corpus, for which no process is there, is cancelled after `patience_s`.
        """
        self.jobs = jobs
        self._presence = presence
        self._watch = watch
        self._open_indexer = open_indexer
        self._patience_s = patience_s
        self._stranger = (0, 0.0)
        """The last sync of another corpus that was seen waiting, and since when."""
        self._job: Job | None = None
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._is_silent = False
        self._thread = threading.Thread(target=self._run, name="sync", daemon=True)
        self._thread.start()

    def submit(self, options: SyncOptions) -> Job:
        """A new sync, or the one that is active. Raises DatabaseUnavailable."""
        job, _ = self.jobs.submit(options)
        self._wake.set()
        return job

    def close(self, timeout_s: float = CLOSE_S) -> None:
        """Stop after the batch under way, which is waited for, though not long. Safe to call twice."""
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout_s)
        if self._thread.is_alive() and (job := self._job) is not None:
            _log.warning("the sync did not stop within %g s; the next one completes it", timeout_s)
            with suppress(DatabaseUnavailable):
                self.jobs.finish(job, JobState.STOPPED, TOLD_TO_STOP)
        self._presence.close()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._look()
                self._is_silent = False
            except DatabaseUnavailable as exc:
                if not self._is_silent:
                    _log.warning("no sync can begin: %s", exc.detail)
                self._is_silent = True
            self._wake.wait(LOOK_EVERY_S)
            self._wake.clear()

    def _look(self) -> None:
        active = self.jobs.active()
        if active is None:
            return
        if active.state is JobState.QUEUED and active.corpus != self.jobs.corpus:
            self._look_at_stranger(active)
        elif active.state is JobState.QUEUED:
            self._job = self.jobs.claim(self._presence.name)
            if self._job is not None:
                self._carry_out(self._job)
        elif active.owner == self._presence.name:  # this thread runs nothing now
            self.jobs.finish(active, JobState.FAILED, UNKNOWN_END)
        else:
            give_up_if_dead(self.jobs, active, self._watch)

    def _look_at_stranger(self, job: Job) -> None:
        """Its command may have been killed before it began, and would keep all others waiting for ever."""
        if self._stranger[0] != job.id:
            self._stranger = (job.id, time.monotonic())
        is_late = time.monotonic() - self._stranger[1] >= self._patience_s
        if is_late and not self._watch.has_taker(self.jobs.target, job.corpus):
            self.jobs.cancel(job.id)

    def _carry_out(self, job: Job) -> None:
        with tracing.on_behalf_of([tracing.run_origin()]):
            try:
                if job.options.dry_run:
                    foresee(self.jobs, job, self._open_indexer)
                    return
                report = carry_out(self.jobs, job, self._open_indexer, self._closing.is_set)
            except MlApiError as exc:
                _log.warning("sync %d: %s", job.id, exc.detail)
            except Exception:  # noqa: BLE001 - the thread outlives any sync
                _log.exception("sync %d failed", job.id)
            else:
                tell(report.as_json())
