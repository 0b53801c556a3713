"""The command `export`: every stored image with its vector into a file, which a service over the embedded store writes itself."""

import logging
import time
from pathlib import Path

from ml_api import tracing
from ml_api.cli.errands import hand_over
from ml_api.cli.exits import Exit, stopped
from ml_api.indexing.jobs import Errand
from ml_api.settings import Settings
from ml_api.stopping import Stop
from ml_api.vocabulary import JobKind

_log = logging.getLogger(__name__)


def export(settings: Settings, target: Path) -> Exit:
    from ml_api.cli.progress import show_progress
    from ml_api.services import open_export
    from ml_api.vectors.files.transfer import export as export_rows

    started = time.monotonic()
    with Stop() as stop:
        stop.reached = "before anything was exported"
        if (handed := hand_over(settings, Errand(JobKind.EXPORT, file=str(target.absolute())), stop)) is not None:
            return handed
        with tracing.on_behalf_of([tracing.run_origin()]), open_export(settings, target) as (store, writer):
            before, total = writer.written.rows, store.count()
            if before:
                _log.info("going on behind the %s rows that were exported before", f"{before:,}")
            with show_progress("exporting", total) as progress:

                def advance(rows: int) -> None:
                    stop.reach(rows, total)
                    progress(rows)

                done = export_rows(store, writer, advance, lambda: stop.signal is not None)
            rows = writer.written.rows
        if not done:
            return stopped(stop)
    _log.info("export done in %.1f s: %s images, to %s", time.monotonic() - started, f"{rows:,}", target)
    return Exit.DONE
