"""Delegation of a command's work to the service that owns the embedded store, which no second process may open."""

from collections.abc import Callable
from contextlib import closing
from typing import Final

from ml_api.cli.exits import Exit, stopped
from ml_api.cli.following import Delegate, follow
from ml_api.cli.results import tell
from ml_api.cli.service_settings import require_given_model
from ml_api.errors import ConfigError, DatabaseUnavailable, SyncRefused, Unavailable
from ml_api.indexing.jobs import Job, Jobs, Operation, SyncOptions
from ml_api.indexing.jobs.execution import LINES
from ml_api.indexing.jobs.heartbeat import Owners
from ml_api.services import database_of, target_of
from ml_api.settings import Settings, environment_name
from ml_api.stopping import Stop
from ml_api.vocabulary import JobKind, JobState

MIGRATIONS: Final = frozenset({JobKind.MIGRATE, JobKind.ROLL_BACK, JobKind.DROP_OLD})
"""Operations that are about another model than the one in use."""


def hand_over(
    settings: Settings, operation: Operation, stop: Stop, *, corpus: str = "", tell: Callable[[str], None] = tell
) -> Exit | None:
    """Have the running service carry out the operation, and show its progress; None if no service runs, or the store is a server,
    which several processes may use.

    With a `corpus`, a service of another corpus is refused. `tell` gets the lines of the result. Raises the error of the operation.
    """
    if not settings.store_is_embedded:
        return None
    with closing(database_of(settings)) as database:
        owners, target = Owners(database), target_of(settings)
        try:
            services = owners.services(target)
        except DatabaseUnavailable:  # whether the store has an owner shows when it is opened
            return None
        if not services:
            return None
        if corpus and services[0].corpus != corpus:
            raise ConfigError(
                f"{environment_name('corpus')}: the service that runs with {settings.store_uri} indexes {services[0].corpus}, "
                f"not {corpus}"
            )
        if operation.kind not in MIGRATIONS:
            require_given_model(settings, services[0].model)
        jobs = Jobs(database, target, services[0].corpus)
        job, _ = jobs.submit(SyncOptions(operation=operation))
        over = follow(jobs, job, Delegate(settings, jobs, owners, any_model=True), stop, is_ours=True)
        if over is None:
            jobs.cancel(job.id)
            return None
        return _ended(over, stop, tell)


def _ended(job: Job, stop: Stop, tell: Callable[[str], None]) -> Exit:
    if job.active:
        return stopped(stop, f"{job.options.kind} {job.id} goes on without this command")
    for line in job.report.get(LINES, ()):
        tell(line)
    match job.state:
        case JobState.SUCCEEDED:
            return Exit.DONE
        case JobState.REFUSED:
            raise SyncRefused(job.error)
        case JobState.STOPPED if stop.signal is not None:
            return stopped(stop)
    raise Unavailable(job.error)
