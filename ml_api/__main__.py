"""The command line: `python -m ml_api serve`, `sync [DIR]`, `triton-repository DIR` and `settings`.

Exit codes: 0 done, 1 a part failed while working, 2 the configuration cannot work.
"""

import argparse
import logging
import os
import sys
from pathlib import Path

from ml_api import __version__, logs, tracing
from ml_api.cores import configure_openmp, usable
from ml_api.errors import ConfigError, MlApiError
from ml_api.indexing.report import SyncReport
from ml_api.metrics import metrics_table
from ml_api.settings import Settings, load_settings, settings_table

TABLES = {"settings": settings_table, "metrics": metrics_table, "log-fields": logs.fields_table}
"""What Introduction.md shows, made from the code."""

SYNC_LINE = {"event.dataset": "ml_api.sync"}

_log = logging.getLogger("ml_api")


def main(arguments: list[str] | None = None) -> int:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # its threads and our fork deadlock
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # it writes past our log, in a format of its own; its errors reach us anyway
    configure_openmp(os.environ, usable())
    options = _parser().parse_args(arguments)
    if options.command in TABLES:
        print(TABLES[options.command]())  # noqa: T201 - this is what was asked for
        return 0
    try:
        settings = load_settings(corpus=getattr(options, "corpus", None))
        logs.configure(settings.log_level, settings.environment)
        match options.command:
            case "serve":
                return _serve(settings)
            case "triton-repository":
                return _write_triton_repository(settings, options.dir)
        return _sync(settings, allow_empty=options.allow_empty)
    except ConfigError as exc:
        for problem in exc.problems:
            print(f"error: {problem}", file=sys.stderr)  # noqa: T201 - a person started this, and waits for the reason
        return 2
    except MlApiError as exc:
        print(f"error: {exc.detail}", file=sys.stderr)  # noqa: T201 - as above
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ml_api", description="Semantic image search. Settings come from ML_API_* variables; see Introduction.md."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="serve the API and the page")
    for table in TABLES:
        commands.add_parser(table, help=f"list all {table.replace('-', ' ')} as a Markdown table")
    sync = commands.add_parser("sync", help="make the index equal to a folder of images")
    sync.add_argument("corpus", metavar="dir", nargs="?", type=Path, help="the folder; ML_API_CORPUS if not given")
    sync.add_argument("--allow-empty", action="store_true", help="let an empty folder empty the index")
    repository = commands.add_parser("triton-repository", help="write what a Triton server needs to run the model")
    repository.add_argument("dir", type=Path, help="the model repository: the folder that Triton is started with")
    return parser


def _serve(settings: Settings) -> int:
    from ml_api.serving import Server

    Server(settings).run()
    return 0


def _sync(settings: Settings, *, allow_empty: bool) -> int:
    from ml_api.progress import show_progress
    from ml_api.services import open_indexer

    with tracing.on_behalf_of([tracing.run_origin()]):
        with open_indexer(settings) as indexer:
            plan = indexer.plan(allow_empty=allow_empty)
            with show_progress("indexing", plan.total) as progress:
                report = indexer.run(plan, lambda current: progress(current.done))
        _tell(report)
    return 0


def _write_triton_repository(settings: Settings, folder: Path) -> int:
    from ml_api.services import write_triton_repository

    for model in write_triton_repository(settings, folder):
        _log.info("wrote %s", model)
    return 0


def _tell(report: SyncReport) -> None:
    for problem in report.problems:
        _log.warning("metadata: %s", problem, extra=SYNC_LINE)
    for failure in report.failures:
        fields = {"event.action": "sync-failure", "event.outcome": "failure", "ml_api.key": failure.key}
        _log.warning("not indexed: %s: %s", failure.key, failure.reason, extra=SYNC_LINE | fields)
    whole = {**SYNC_LINE, "event.action": "sync", "event.outcome": "success", **report.log_fields()}
    _log.info("sync: %s in %.1f s", report.summary(), report.seconds, extra=whole)


if __name__ == "__main__":
    sys.exit(main())
