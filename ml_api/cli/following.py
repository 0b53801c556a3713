"""A sync that another process runs, as the command that wants it sees it: is there one, how far is it, is it still alive."""

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
from ml_api.indexing.jobs.heartbeat import Watch
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
AWAY_S: Final = 60.0
"""How long a database that is away is waited for."""

_log = logging.getLogger(__name__)


class Taker:
    """A service that does what this command asks for, if there is one."""

    def __init__(self, settings: Settings, jobs: Jobs, watch: Watch, *, any_model: bool = False) -> None:
        """`any_model`: whether it may embed with another one than the configured."""
        self._any_model = any_model
        self._settings = settings
        self._jobs = jobs
        self._watch = watch

    def is_there(self) -> bool:
        """Raises ConfigError if one is there that has the store and does something else."""
        takers = self._watch.takers(self._jobs.target)
        ours = [taker for taker in takers if taker.corpus == self._jobs.corpus]
        if ours:
            if not self._any_model:
                require_model(self._settings, ours[0].model)
                require_reading(self._settings, ours[0].reading)
            return True
        if takers and self._settings.store_is_embedded:
            raise ConfigError(
                f"{environment_name('corpus')}: the service that runs with {self._settings.store_uri} indexes {takers[0].corpus}, "
                f"not {self._jobs.corpus}; start it with that folder, or name another collection"
            )
        return False

    def clear(self) -> None:
        """Cancel what waits for a process that is not there: a command that was killed before it began."""
        active = self._jobs.active()
        if active is None or active.state is not JobState.QUEUED or active.corpus == self._jobs.corpus:
            return
        if not self._watch.has_taker(self._jobs.target, active.corpus):
            self._jobs.cancel(active.id)

    def is_dead(self, job: Job) -> bool:
        """Whether the process that runs `job` is; then the job is given up."""
        return give_up_if_dead(self._jobs, job, self._watch)


def follow(jobs: Jobs, job: Job, taker: Taker, stop: Stop, *, is_ours: bool) -> Job | None:
    """Show the progress of a sync that another process runs, until it is over; None if nobody is there to run it.

    A first signal cancels what this command began. What it found it leaves alone and returns as it is.
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
                if not _is_somebodys(jobs, job, taker, stop):
                    stop.gentle = False
                    return None
            except DatabaseUnavailable:
                if time.monotonic() - seen_at > AWAY_S:
                    raise
            else:
                seen_at = time.monotonic()
            if job.total:
                bar = bar or shown.enter_context(show_progress(DOING.get(job.options.kind, "indexing"), job.total))
                bar(job.done)
            time.sleep(LOOK_EVERY_S)


def _is_somebodys(jobs: Jobs, job: Job, taker: Taker, stop: Stop) -> bool:
    """Whether somebody runs it, or will; a signal is passed on to them. Raises Unavailable if they died of it."""
    if stop.signal is not None and not job.stop_wanted:
        jobs.cancel(job.id)
    if job.state is JobState.RUNNING and taker.is_dead(job):
        raise Unavailable(f"the process that ran this {job.options.kind} has ended; what was done is kept, run it again to go on")
    return job.state is not JobState.QUEUED or taker.is_there()
