"""The command `migrate`: another model in place of the one in use, while that one goes on answering."""

import logging
from typing import Final

from ml_api import tracing
from ml_api.cli.exits import Exit, stopped
from ml_api.errors import ModelUnavailable, SyncRefused
from ml_api.indexing.report import SyncReport
from ml_api.services.migration import Migration
from ml_api.settings import Settings
from ml_api.stopping import Stop
from ml_api.vectors.base import Generation
from ml_api.vocabulary import SyncOutcome

CATCHING_UP: Final = 3
"""Syncs at most: what changes while the first runs is taken in by the second, which is short."""
ENOUGH: Final = 0.8
"""Share of the images in use that the new vectors must cover: fewer look like a lost mount."""

CHANGED: Final = (
    *(SyncOutcome.ADDED, SyncOutcome.REPLACED, SyncOutcome.MOVED),
    *(SyncOutcome.REMOVED, SyncOutcome.DUPLICATE),
)

_log = logging.getLogger(__name__)


def migrate(settings: Settings, *, switch: bool) -> Exit:
    """Embed the corpus with the configured model, compare, and use it from the next start on."""
    from ml_api.evaluation import overlap
    from ml_api.services.migration import open_migration

    with Stop() as stop, tracing.on_behalf_of([tracing.run_origin()]), open_migration(settings) as migration:
        if migration.wanted == migration.current:
            _log.info("%s is the model in use already", migration.current.model_id)
            return Exit.DONE
        _log.info("from %s to %s", migration.current.model_id, migration.wanted.model_id)
        if not _index(migration, stop):
            return stopped(stop)
        _require_enough(migration)
        _log.info("%s", overlap(migration.old, migration.new))
        if switch:
            migration.generations.switch(migration.wanted)
            _tell_switched(migration.wanted)
        else:
            _log.info("%s is still in use; the same command without --no-switch goes on", migration.current.model_id)
    return Exit.DONE


def roll_back(settings: Settings) -> Exit:
    """Use the generation again that was in use before."""
    from ml_api.services.migration import open_generations

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
    from ml_api.services.migration import open_generations

    with open_generations(settings) as generations:
        for generation in generations.others():
            generations.drop(generation)
            _log.info("removed the vectors of %s (%s)", generation.model_id, generation.name)
    return Exit.DONE


def _index(migration: Migration, stop: Stop) -> bool:
    """Whether the new vectors are those of the corpus as it is now; false if it was stopped. Raises ModelUnavailable."""
    from ml_api.progress import show_progress

    for _ in range(CATCHING_UP):
        plan = migration.indexer.plan()
        with show_progress("embedding", plan.total) as progress:

            def advance(report: SyncReport) -> None:
                stop.reach(report.done, report.total)
                progress(report.done)

            report = migration.indexer.run(plan, advance, lambda: stop.signal is not None)
        if stop.signal is not None:
            return False
        if report.model_failed:
            raise ModelUnavailable(f"{migration.wanted.model_id} returned no finite vector for any image; nothing was switched")
        _log.info("%s", report.summary())
        if not any(report.outcomes[outcome] for outcome in CHANGED):
            break
    return True


def _require_enough(migration: Migration) -> None:
    old, new = migration.old.count(), migration.new.count()
    if new < ENOUGH * old:
        raise SyncRefused(
            f"the corpus gave {new:,} images, but {old:,} are in use: is all of it mounted? {migration.current.model_id} stays in "
            "use. If they were deleted on purpose, sync first"
        )


def _tell_switched(now: Generation) -> None:
    _log.info("%s is in use from the next start on: start the service with its name in ML_API_MODEL", now.model_id)
    _log.info(
        "running services go on with the model that they have; `migrate --rollback` undoes this, `migrate --drop-old` ends it"
    )
