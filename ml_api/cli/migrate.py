"""The command `migrate`: another model in place of the one in use, while that one goes on answering."""

from collections.abc import Iterator
from contextlib import contextmanager

from ml_api import tracing
from ml_api.cli.delegation import hand_over
from ml_api.cli.exits import Exit, stopped
from ml_api.cli.results import tell
from ml_api.indexing.jobs import Operation
from ml_api.indexing.recorder import Progress
from ml_api.indexing.report import SyncReport
from ml_api.services import location_of
from ml_api.services.migration import (
    drop_others,
    in_use_already,
    model_setting,
    not_switched,
    open_generations,
    open_migration,
    prepare,
    replaced,
)
from ml_api.settings import Settings
from ml_api.stopping import Stop
from ml_api.vectors.base import Generation
from ml_api.vocabulary import JobKind


def migrate(settings: Settings, *, switch: bool) -> Exit:
    """Embed the corpus with the configured model, compare, and use it: in the service that runs, or from the next start on."""
    with Stop() as stop, tracing.on_behalf_of([tracing.run_origin()]):
        operation = Operation(JobKind.MIGRATE, model=model_setting(settings), switch=switch)
        handed = hand_over(settings, operation, stop, corpus=location_of(settings))
        return _migrate(settings, stop, switch=switch) if handed is None else handed


def _migrate(settings: Settings, stop: Stop, *, switch: bool) -> Exit:
    with open_migration(settings) as migration:
        if migration.wanted == migration.current:
            tell(in_use_already(migration.current))
            return Exit.DONE
        if not prepare(migration, lambda total: _shown(total, stop), lambda: stop.signal is not None, tell):
            return stopped(stop)
        if switch:
            migration.take_over_edits()
            migration.generations.switch(migration.wanted)
            if migration.same_model:
                tell(f"{migration.wanted.name} is in use from the next start on: start the services again")
            else:
                _tell_switched(migration.wanted)
        else:
            tell(not_switched(migration.current))
    return Exit.DONE


def roll_back(settings: Settings) -> Exit:
    """Use the generation again that was in use before."""
    with Stop() as stop, tracing.on_behalf_of([tracing.run_origin()]):
        if (handed := hand_over(settings, Operation(JobKind.ROLL_BACK), stop)) is not None:
            return handed
    with open_generations(settings) as generations:
        before = replaced(generations)
        generations.switch(before)
        _tell_switched(before)
    return Exit.DONE


def drop_old(settings: Settings) -> Exit:
    """Remove the vectors of all models that are not in use."""
    with Stop() as stop, tracing.on_behalf_of([tracing.run_origin()]):
        if (handed := hand_over(settings, Operation(JobKind.DROP_OLD), stop)) is not None:
            return handed
    with open_generations(settings) as generations:
        drop_others(generations, tell)
    return Exit.DONE


@contextmanager
def _shown(total: int, stop: Stop) -> Iterator[Progress]:
    from ml_api.cli.progress import show_progress

    with show_progress("embedding", total) as progress:

        def advance(report: SyncReport) -> None:
            stop.reach(report.done, report.total)
            progress(report.done)

        yield advance


def _tell_switched(now: Generation) -> None:
    tell(f"{now.model_id} is in use from the next start on: start the service with its name in ML_API_MODEL")
    tell("running services go on with the model that they have; `migrate --rollback` undoes this, `migrate --drop-old` ends it")
