"""The service's own thread that runs jobs, one after the other. The command `sync` runs its job itself where no service does."""

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
    carry_out,
    foresee,
    give_up_if_dead,
    run_operation,
)
from ml_api.indexing.jobs.heartbeat import SILENCE_S, Heartbeat, Watch
from ml_api.indexing.jobs.jobs import Job, Jobs
from ml_api.indexing.jobs.options import SyncOptions
from ml_api.indexing.report import NOBODY, FileOutcome, Report, log_report
from ml_api.vocabulary import JobState, ReasonCode

LOOK_EVERY_S: Final = 0.5
"""Interval at which a runner looks for syncs that other processes want."""
CLOSE_S: Final = 3.0
"""How long a stop waits for the batch under way."""
UNKNOWN_END: Final = "how it ended could not be recorded; the log has it"

_log = logging.getLogger(__name__)


class SyncRunner:
    """The service's thread that runs syncs, its own and those that other processes want, one after the other."""

    def __init__(  # noqa: PLR0913 - what it runs, and who it is
        self,
        jobs: Jobs,
        heartbeat: Heartbeat,
        watch: Watch,
        open_indexer: OpenIndexer,
        operations: RunOperation | None = None,
        *,
        files: Report = NOBODY,
        patience_s: float = SILENCE_S,
    ) -> None:
        """It owns `heartbeat`, which was there before: who asks for a sync meanwhile waits for this runner.

        `files` gets the reports of its syncs. A sync of another corpus, for which no process is there, is cancelled after
        `patience_s`.
        """
        self.jobs = jobs
        self._heartbeat = heartbeat
        self._watch = watch
        self._open_indexer = open_indexer
        self._operations = operations
        self._files = files
        self._patience_s = patience_s
        self._stranger = (0, 0.0)
        """The last sync of another corpus that was seen waiting, and since when."""
        self._job: Job | None = None
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._trouble: type[Exception] | None = None
        """What keeps it from looking, and was logged."""
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
            self._look_at_stranger(active)
        elif active.state is JobState.QUEUED:
            self._job = self.jobs.claim(self._heartbeat.name)
            if self._job is not None:
                self._carry_out(self._job)
            elif active.unreadable:
                _log.warning("job %d was not run: %s", active.id, active.unreadable)
        elif active.owner == self._heartbeat.name:  # this thread runs nothing now
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
                if job.options.operation is not None:
                    self._run_operation(job)
                    return
                report = carry_out(self.jobs, job, self._open_indexer, self._closing.is_set, files=self._files)
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
    """What changed while a sync was at it: by syncs alone, only the next one would find it."""
    if file.code == ReasonCode.CHANGED_MEANWHILE:
        with suppress(DatabaseUnavailable):
            changes.note([file.key], Source.EVENT)
