"""The command `sync`: makes the index equal to a folder, and tells what became of every file."""

import logging

from ml_api import tracing
from ml_api.cli.exits import Exit
from ml_api.indexing.report import SyncReport
from ml_api.settings import Settings

SYNC_LINE = {"event.dataset": "ml_api.sync"}

_log = logging.getLogger(__name__)


def sync(settings: Settings, *, allow_empty: bool) -> Exit:
    from ml_api.progress import show_progress
    from ml_api.services import open_indexer

    with tracing.on_behalf_of([tracing.run_origin()]):
        with open_indexer(settings) as indexer:
            plan = indexer.plan(allow_empty=allow_empty)
            with show_progress("indexing", plan.total) as progress:
                report = indexer.run(plan, lambda current: progress(current.done))
        _tell(report)
    return Exit.DONE


def _tell(report: SyncReport) -> None:
    for problem in report.coverage.problems():
        _log.warning("not listed: %s; what is indexed of it stays", problem, extra=SYNC_LINE)
    for problem in report.problems:
        _log.warning("metadata: %s", problem, extra=SYNC_LINE)
    for failure in report.failures:
        fields = {"event.action": "sync-failure", "event.outcome": "failure", "ml_api.key": failure.key}
        _log.warning("not indexed: %s: %s", failure.key, failure.reason, extra=SYNC_LINE | fields)
    whole = {**SYNC_LINE, "event.action": "sync", "event.outcome": "success", **report.log_fields()}
    _log.info("sync: %s in %.1f s", report.summary(), report.seconds, extra=whole)
