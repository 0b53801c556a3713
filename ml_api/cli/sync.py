"""The command `sync`: makes the index equal to a folder and reports the outcome of every file."""

import logging

from ml_api import tracing
from ml_api.cli.exits import Exit, stopped
from ml_api.errors import ModelUnavailable
from ml_api.indexing.guard import Consent
from ml_api.indexing.report import SyncReport
from ml_api.settings import Settings
from ml_api.stopping import Stop

SYNC_LINE = {"event.dataset": "ml_api.sync"}

_log = logging.getLogger(__name__)


def sync(settings: Settings, consent: Consent, *, retry_failed: bool) -> Exit:
    from ml_api.progress import show_progress
    from ml_api.services import open_indexer

    with Stop() as stop:
        with tracing.on_behalf_of([tracing.run_origin()]):
            with open_indexer(settings, retry_failed=retry_failed) as indexer:
                plan = indexer.plan(consent)
                with show_progress("indexing", plan.total) as progress:

                    def advance(report: SyncReport) -> None:
                        stop.gentle = True  # from now on there may be a batch to finish
                        stop.reached = f"after {report.done:,} of {report.total:,}"
                        progress(report.done)

                    report = indexer.run(plan, advance, lambda: stop.signal is not None)
            _tell(report)
        if report.stopped and stop.signal is not None:
            return stopped(stop)
    if report.model_failed:
        raise ModelUnavailable(f"the model returned no finite vector for any of the {report.without_vector:,} images it was given")
    return Exit.DONE


def _tell(report: SyncReport) -> None:
    for problem in report.coverage.problems():
        _log.warning("not listed: %s; what is indexed of it stays", problem, extra=SYNC_LINE)
    for problem in report.problems:
        _log.warning("metadata: %s", problem, extra=SYNC_LINE)
    for failure in report.failures:
        fields = {"event.action": "sync-failure", "event.outcome": "failure", "ml_api.key": failure.key}
        _log.warning("not indexed: %s: %s", failure.key, failure.reason, extra=SYNC_LINE | fields)
    outcome = "unknown" if report.stopped else "failure" if report.model_failed else "success"
    whole = {**SYNC_LINE, "event.action": "sync", "event.outcome": outcome, **report.log_fields()}
    how = "stopped after" if report.stopped else "done in"
    _log.info("sync %s %.1f s: %s", how, report.seconds, report.summary(), extra=whole)
