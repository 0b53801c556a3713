"""The command `import`: vectors of a file, ours or another program's, into the store."""

import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ml_api import tracing
from ml_api.cli.delegation import hand_over
from ml_api.cli.exits import Exit, stopped
from ml_api.cli.results import tell
from ml_api.indexing.jobs import Operation
from ml_api.settings import Settings
from ml_api.stopping import Stop
from ml_api.vocabulary import JobKind

if TYPE_CHECKING:
    from ml_api.vectors.files.opening import VectorFile

_log = logging.getLogger(__name__)


def import_(settings: Settings, path: Path, said: str) -> Exit:
    """`said` is the model of `--model-id`; empty if it was not given."""
    from ml_api.cli.progress import followed
    from ml_api.services import examine_for, import_images, open_import

    started = time.monotonic()
    with Stop() as stop:
        stop.reached = "before anything was imported"
        examined = examine_for(settings, path, said, _confirmed)
        operation = Operation(JobKind.IMPORT, file=str(path.absolute()), said=examined.said)
        if (handed := hand_over(settings, operation, stop)) is not None:
            return handed
        with (
            tracing.on_behalf_of([tracing.run_origin()]),
            open_import(settings, examined) as store,
            followed(stop, "importing") as follower,
        ):
            done = import_images(store, examined, _leave_out, follower)
        tell(f"import {'stopped after' if stop.signal else 'done in'} {time.monotonic() - started:.1f} s: {done}")
        if stop.signal is not None:
            return stopped(stop)
    return Exit.DONE


def _leave_out(place: str, reason: str) -> None:
    _log.warning("not imported: %s: %s", place, reason)


def _confirmed(file: "VectorFile", model_id: str) -> bool:
    """Ask the person at the terminal, if there is one, for what a file does not say."""
    if not sys.stdin.isatty():
        return False
    question = f"{file.path} does not say which model made its vectors. They have {file.dim} dimensions, as those of {model_id}."
    print(question, file=sys.stderr)  # noqa: T201 - a question for the person who started the command
    return input("Were they made by that model? [y/N] ").strip().lower() in {"y", "yes"}
