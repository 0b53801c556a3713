"""The command `extract`: the vectors of a folder of images into a file, without a vector store."""

import logging
from pathlib import Path

from ml_api import tracing
from ml_api.cli.exits import Exit, stopped
from ml_api.cli.results import tell
from ml_api.errors import ModelUnavailable
from ml_api.indexing.report import FailureReport, FileOutcome, SyncReport
from ml_api.settings import Settings
from ml_api.stopping import Stop

_log = logging.getLogger(__name__)


def extract(settings: Settings, target: Path) -> Exit:
    from ml_api.cli.progress import show_progress
    from ml_api.services import open_extraction

    with Stop() as stop:
        stop.reached = "before anything was extracted"
        with tracing.on_behalf_of([tracing.run_origin()]), open_extraction(settings, target) as extraction:
            plan = extraction.plan()
            with show_progress("extracting", plan.total) as progress:

                def advance(report: SyncReport) -> None:
                    stop.reach(report.done, report.total)
                    progress(report.done)

                report = extraction.run(plan, advance, lambda: stop.signal is not None, FailureReport(_tell_failure))
        _tell(report, target)
        if report.stopped:
            return stopped(stop)
    if report.model_failed:
        raise ModelUnavailable(report.model_failure)
    return Exit.DONE


def _tell_failure(file: FileOutcome) -> None:
    _log.warning("not extracted: %s: %s", file.key, file.reason)


def _tell(report: SyncReport, target: Path) -> None:
    for problem in report.coverage.problems():
        _log.warning("not listed: %s", problem)
    for problem in report.problems:
        _log.warning("metadata: %s", problem)
    how = "stopped after" if report.stopped else "done in"
    tell(f"extract {how} {report.seconds:.1f} s: {report.summary()}, to {target}")
