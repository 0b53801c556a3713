"""The command `export`: every stored image with its vector into a file, which a service over the embedded store writes itself."""

import time
from pathlib import Path

from ml_api import tracing
from ml_api.cli.delegation import hand_over
from ml_api.cli.exits import Exit, stopped
from ml_api.cli.results import tell
from ml_api.indexing.jobs import Operation
from ml_api.settings import Settings
from ml_api.stopping import Stop
from ml_api.vocabulary import JobKind


def export(settings: Settings, target: Path) -> Exit:
    from ml_api.cli.progress import followed
    from ml_api.services import export_images, open_export
    from ml_api.vectors.files.opening import format_to_write

    format_to_write(target)  # a mistake of the command line, whoever writes the file
    started = time.monotonic()
    with Stop() as stop:
        stop.reached = "before anything was exported"
        if (handed := hand_over(settings, Operation(JobKind.EXPORT, file=str(target.absolute())), stop)) is not None:
            return handed
        with (
            tracing.on_behalf_of([tracing.run_origin()]),
            open_export(settings) as (store, model_id),
            followed(stop, "exporting") as follower,
        ):
            is_done = export_images(store, model_id, settings, target, follower, tell)
        if not is_done:
            return stopped(stop)
    tell(f"export done in {time.monotonic() - started:.1f} s")
    return Exit.DONE
