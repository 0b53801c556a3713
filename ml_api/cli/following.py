"""Jobs that a service runs for a command: the service is looked for, the progress of the job is shown, and its death is noticed."""

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

from ml_api.cli.progress import show_progress
from ml_api.cli.service_settings import require_model, require_reading
from ml_api.errors import ConfigError, DatabaseUnavailable, Unavailable
from ml_api.indexing.jobs import Job, Jobs
from ml_api.indexing.jobs.execution import give_up_if_dead
from ml_api.indexing.jobs.heartbeat import Owners
from ml_api.settings import Settings, environment_name
from ml_api.stopping import Stop
from ml_api.vocabulary import JobKind, JobState

LOOK_EVERY_S: Final = 0.2
DOING: Final = {
    JobKind.MIGRATE: "embedding",
    JobKind.ROLL_BACK: "embedding",
    JobKind.EXPORT: "exporting",
    JobKind.IMPORT: "importing",
    JobKind.EVALUATE: "searching",
}
OUTAGE_S: Final = 60.0
"""Longest outage of the database that is waited for."""

_log = logging.getLogger(__name__)


class Delegate:
    """The service that runs jobs for this command, if there is one."""

    def __init__(self, settings: Settings, jobs: Jobs, owners: Owners, *, any_model: bool = False) -> None:
        """`any_model`: whether it may embed with another model than the configured one."""
        self._any_model = any_model
        self._settings = settings
        self._jobs = jobs
        self._owners = owners

    def is_running(self) -> bool:
        """Raises ConfigError if a service has the embedded store, but other settings than this command."""
        services = self._owners.services(self._jobs.target)
        ours = [service for service in services if service.corpus == self._jobs.corpus]
        if ours:
            if not self._any_model:
                require_model(self._settings, ours[0].model)
                require_reading(self._settings, ours[0].reading)
            return True
        if services and self._settings.store_is_embedded:
            raise ConfigError(
                f"{environment_name('corpus')}: the service that runs with {self._settings.store_uri} indexes "
                f"{services[0].corpus}, not {self._jobs.corpus}; start it with that folder, or name another collection"
            )
        return False

    def cancel_orphan(self) -> None:
        """Cancel the queued job of a process that has ended: a command that was killed before the job began."""
        active = self._jobs.active()
        if active is None or active.state is not JobState.QUEUED or active.corpus == self._jobs.corpus:
            return
        if not self._owners.has_service(self._jobs.target, active.corpus):
            self._jobs.cancel(active.id)

    def is_dead(self, job: Job) -> bool:
        """Whether the process that runs `job` has died; then the job is given up."""
        return give_up_if_dead(self._jobs, job, self._owners)


def follow(jobs: Jobs, job: Job, delegate: Delegate, stop: Stop, *, is_ours: bool) -> Job | None:
    """Show the progress of a job that another process runs, until it is over; None if no process is left to run it.

    A first signal cancels a job that this command submitted. A job that was under way before goes on, and is returned as it is.
    """
    stop.gentle = True
    if not job.options.dry_run:  # whose output may be read by a program
        _log.info("%s %d %s", job.options.kind, job.id, "is run by the service" if is_ours else "is under way already")
    seen_at = time.monotonic()
    with ExitStack() as shown:
        bar: Callable[[int], None] | None = None
        while True:
            try:
                job = jobs.get(job.id)
                if job.total:
                    stop.reach(job.done, job.total)
                if not job.active or (stop.signal is not None and not is_ours):
                    return job
                if not _has_runner(jobs, job, delegate, stop):
                    stop.gentle = False
                    return None
            except DatabaseUnavailable:
                if time.monotonic() - seen_at > OUTAGE_S:
                    raise
            else:
                seen_at = time.monotonic()
            if job.total:
                bar = bar or shown.enter_context(show_progress(DOING.get(job.options.kind, "indexing"), job.total))
                bar(job.done)
            time.sleep(LOOK_EVERY_S)


def _has_runner(jobs: Jobs, job: Job, delegate: Delegate, stop: Stop) -> bool:
    """Whether a process runs the job, or will; a signal is passed on to it. Raises Unavailable if that process has died."""
    if stop.signal is not None and not job.stop_wanted:
        jobs.cancel(job.id)
    if job.state is JobState.RUNNING and delegate.is_dead(job):
        raise Unavailable(f"the process that ran this {job.options.kind} has ended; what was done is kept, run it again to go on")
    return job.state is not JobState.QUEUED or delegate.is_running()
