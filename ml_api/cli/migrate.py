"""The command `migrate`: another model in place of the one in use, while that one goes on answering."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from ml_api import tracing
from ml_api.cli.errands import hand_over
from ml_api.cli.exits import Exit, stopped
from ml_api.errors import SyncRefused
from ml_api.indexing.account import Progress
from ml_api.indexing.jobs import Errand
from ml_api.indexing.report import SyncReport
from ml_api.services import location_of
from ml_api.services.migration import model_setting, open_generations, open_migration
from ml_api.settings import Settings
from ml_api.stopping import Stop
from ml_api.vectors.base import Generation
from ml_api.vocabulary import JobKind

_log = logging.getLogger(__name__)


def migrate(settings: Settings, *, switch: bool) -> Exit:
    """Embed the corpus with the configured model, compare, and use it: in the service that runs, or from the next start on."""
    with Stop() as stop, tracing.on_behalf_of([tracing.run_origin()]):
        errand = Errand(JobKind.MIGRATE, model=model_setting(settings), switch=switch)
        handed = hand_over(settings, errand, stop, corpus=location_of(settings))
        return _migrate(settings, stop, switch=switch) if handed is None else handed


def _migrate(settings: Settings, stop: Stop, *, switch: bool) -> Exit:
    from ml_api.evaluation import overlap

    with open_migration(settings) as migration:
        if migration.wanted == migration.current:
            _log.info("%s is the model in use already", migration.current.model_id)
            return Exit.DONE
        _log.info("%s", migration.summary)
        if not migration.embed(lambda total: _shown(total, stop), lambda: stop.signal is not None):
            return stopped(stop)
        migration.require_enough()
        _log.info("%s", overlap(migration.old, migration.new))
        if switch:
            migration.take_over_edits()
            migration.generations.switch(migration.wanted)
            if migration.same_model:
                _log.info("%s is in use from the next start on: start the services again", migration.wanted.name)
            else:
                _tell_switched(migration.wanted)
        else:
            _log.info("%s is still in use; the same command without --no-switch goes on", migration.current.model_id)
    return Exit.DONE


def roll_back(settings: Settings) -> Exit:
    """Use the generation again that was in use before."""
    with Stop() as stop, tracing.on_behalf_of([tracing.run_origin()]):
        if (handed := hand_over(settings, Errand(JobKind.ROLL_BACK), stop)) is not None:
            return handed
    with open_generations(settings) as generations:
        current = generations.current()
        before = next((one for one in generations.others() if one.name == current.replaced), None)
        if before is None:
            raise SyncRefused(f"{current.model_id} has replaced no model whose vectors are still there")
        generations.switch(before)
        _tell_switched(before)
    return Exit.DONE


def drop_old(settings: Settings) -> Exit:
    """Remove the vectors of all models that are not in use."""
    with Stop() as stop, tracing.on_behalf_of([tracing.run_origin()]):
        if (handed := hand_over(settings, Errand(JobKind.DROP_OLD), stop)) is not None:
            return handed
    with open_generations(settings) as generations:
        for generation in generations.others():
            generations.drop(generation)
            _log.info("removed the vectors of %s (%s)", generation.model_id, generation.name)
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
    _log.info("%s is in use from the next start on: start the service with its name in ML_API_MODEL", now.model_id)
    _log.info(
        "running services go on with the model that they have; `migrate --rollback` undoes this, `migrate --drop-old` ends it"
    )
