"""The thread of a service that runs jobs, one after the other. Without a service, the command `sync` runs its own job."""

import logging
import threading
import time
from contextlib import suppress
from typing import Final

from ml_api import tracing
from ml_api.errors import DatabaseUnavailable, MlApiError
from ml_api.indexing.changes import Changes, Source
from ml_api.indexing.jobs.execution import (
    TOLD_TO_STOP,
    OpenIndexer,
    RunOperation,
    give_up_if_dead,
    run_dry_run,
    run_operation,
    run_sync,
)
from ml_api.indexing.jobs.heartbeat import SILENCE_S, Heartbeat, Owners
from ml_api.indexing.jobs.jobs import Job, Jobs
from ml_api.indexing.jobs.options import SyncOptions
from ml_api.indexing.report import NO_REPORT, FileOutcome, Report, log_report
from ml_api.vocabulary import JobState, ReasonCode

LOOK_EVERY_S: Final = 0.5
"""Interval at which a runner looks for jobs of other processes."""
CLOSE_S: Final = 3.0
"""How long a stop waits for the batch under way."""
UNKNOWN_END: Final = "how it ended could not be recorded; the log has it"

_log = logging.getLogger(__name__)


class SyncRunner:
    """The service's thread that runs jobs, its own and those of other processes, one after the other."""

    def __init__(  # noqa: PLR0913 - what it runs, and who it is
        self,
        jobs: Jobs,
        heartbeat: Heartbeat,
        owners: Owners,
        open_indexer: OpenIndexer,
        operations: RunOperation | None = None,
        *,
        files: Report = NO_REPORT,
        patience_s: float = SILENCE_S,
    ) -> None:
        """It owns `heartbeat`, whose row exists before the runner: commands that ask for a sync meanwhile wait for it.

        `files` gets the outcomes of the syncs. A sync of another corpus that no process will run is cancelled after `patience_s`.
        """
        self.jobs = jobs
        self._heartbeat = heartbeat
        self._owners = owners
        self._open_indexer = open_indexer
        self._operations = operations
        self._files = files
        self._patience_s = patience_s
        self._foreign = (0, 0.0)
        """The last queued sync of another corpus, and since when it has been seen."""
        self._job: Job | None = None
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._trouble: type[Exception] | None = None
        """The error that was logged last; a repeated one is not logged again."""
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
            _log.warning("%s %d did not stop within %g s; the next one completes it", job.options.kind, job.id, timeout_s)
            with suppress(DatabaseUnavailable):
                self.jobs.finish(job, JobState.STOPPED, TOLD_TO_STOP)
        self._heartbeat.close()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._look()
                self._trouble = None
            except Exception as exc:  # noqa: BLE001 - without this thread no sync would ever run again
                self._tell_once(exc)
            self._wake.wait(LOOK_EVERY_S)
            self._wake.clear()

    def _tell_once(self, trouble: Exception) -> None:
        if type(trouble) is not self._trouble:
            if isinstance(trouble, MlApiError):
                _log.warning("no sync can begin: %s", trouble.detail)
            else:
                _log.error("no sync can begin", exc_info=trouble)
        self._trouble = type(trouble)

    def _look(self) -> None:
        active = self.jobs.active()
        if active is None:
            return
        if active.state is JobState.QUEUED and active.corpus != self.jobs.corpus:
            self._cancel_orphan(active)
        elif active.state is JobState.QUEUED:
            self._job = self.jobs.claim(self._heartbeat.name)
            if self._job is not None:
                self._run_job(self._job)
            elif active.unreadable:
                _log.warning("job %d was not run: %s", active.id, active.unreadable)
        elif active.owner == self._heartbeat.name:  # this thread runs nothing now
            self.jobs.finish(active, JobState.FAILED, UNKNOWN_END)
        else:
            give_up_if_dead(self.jobs, active, self._owners)

    def _cancel_orphan(self, job: Job) -> None:
        """Cancel a sync of another corpus that no process will run, as its command was killed: all others would wait for it."""
        if self._foreign[0] != job.id:
            self._foreign = (job.id, time.monotonic())
        is_late = time.monotonic() - self._foreign[1] >= self._patience_s
        if is_late and not self._owners.has_service(self.jobs.target, job.corpus):
            self.jobs.cancel(job.id)

    def _run_job(self, job: Job) -> None:
        with tracing.on_behalf_of([tracing.run_origin()]):
            try:
                if job.options.dry_run:
                    run_dry_run(self.jobs, job, self._open_indexer)
                    return
                if job.options.operation is not None:
                    self._run_operation(job)
                    return
                report = run_sync(self.jobs, job, self._open_indexer, self._closing.is_set, files=self._files)
            except MlApiError as exc:
                _log.warning("%s %d: %s", job.options.kind, job.id, exc.detail)
            except Exception:  # noqa: BLE001 - the thread outlives any sync
                _log.exception("%s %d failed", job.options.kind, job.id)
            else:
                log_report(report.as_json())

    def _run_operation(self, job: Job) -> None:
        if self._operations is None:
            self.jobs.finish(job, JobState.REFUSED, f"this service does not {job.options.kind}")
            return
        for line in run_operation(self.jobs, job, self._operations, self._closing.is_set):
            _log.info("%s %d: %s", job.options.kind, job.id, line)


def look_again(changes: Changes, file: FileOutcome) -> None:
    """Note a file that changed while a sync read it: otherwise only the next sync would index it."""
    if file.code == ReasonCode.CHANGED_MEANWHILE:
        with suppress(DatabaseUnavailable):
            changes.note([file.key], Source.EVENT)
