"""The command line: a module for each command, the tables of docs/, and what they have in common. `Exit` has its codes."""

import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path
from typing import Literal, NoReturn

from ml_api import logs
from ml_api.cli.commands import TABLES
from ml_api.cli.environment import configure_libraries
from ml_api.cli.exits import Exit
from ml_api.cli.parsing import Options, parse
from ml_api.cli.results import discard, tell
from ml_api.cores import usable
from ml_api.errors import ConfigError, MlApiError, SyncRefused
from ml_api.files import NO_ROOM
from ml_api.settings import ENV_FILE, Given, Settings, environment_name, load_settings
from ml_api.wording import legible

PRIVATE = 0o077
"""File mode mask: only their user can read what commands write. A Triton repository is not private."""

CONDITIONS: dict[str, Literal["serve", "sync"]] = {"serve": "serve", "sync": "sync", "extract": "sync"}
"""The conditions of settings that are checked at the start; other commands notice them when they open the store."""


_log = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    try:
        try:
            return _main(arguments)
        finally:
            sys.stdout.flush()  # here, where a closed pipe can be handled
    except BrokenPipeError:
        discard(sys.stdout, sys.stderr)  # Python would report the unwritten rest at its end
        return Exit.UNREAD


def _main(arguments: list[str] | None) -> int:
    options, given, problems = parse(arguments)
    if options.command in TABLES:
        print(_table(options.command))  # noqa: T201 - the output of the command
        return Exit.DONE
    return _outcome(lambda: _run(options, given, problems), given)


def _outcome(work: Callable[[], int], given: dict[str, Given]) -> int:
    """The exit code of `work`; prints its errors."""
    try:
        return work()
    except ConfigError as exc:
        _tell(exc.problems, given)
        return Exit.MISCONFIGURED
    except SyncRefused as exc:
        _tell([exc.detail], given)
        return Exit.REFUSED
    except MlApiError as exc:
        _tell([exc.detail], given)
        return Exit.FAILED
    except BrokenPipeError:
        raise
    except OSError as exc:  # a folder that cannot be written, a full disk
        _log.debug("refused by the operating system", exc_info=True)
        _tell([_refused(exc)], given)
        return Exit.FAILED


def _refused(exc: OSError) -> str:
    what = (exc.strerror or str(exc) or type(exc).__name__).lower()
    if exc.filename is None and exc.errno in NO_ROOM:
        return f"{what}, most likely that of {environment_name('data_dir')}"
    return f"{exc.filename}: {what}" if exc.filename is not None else what


def _tell(problems: Iterable[str], given: dict[str, Given]) -> None:
    """Print the problems under the names by which settings were given: `--model` rather than ML_API_MODEL."""
    for problem in problems:
        for field, setting in given.items():
            problem = re.sub(rf"\b{environment_name(field)}\b", setting.name, problem)  # noqa: PLW2901 - one setting after another
        shown = "\n".join(legible(line, None) for line in problem.split("\n"))
        print(f"error: {shown}", file=sys.stderr)  # noqa: T201 - a message for the person who started the command


def _run(options: Options, given: dict[str, Given], problems: list[str]) -> Exit:
    command = CONDITIONS.get(options.command)
    settings = load_settings(options=given, env_file=ENV_FILE, command=command, problems=problems)
    # The output of `serve` is its log; other commands print their results to the standard output.
    logs.configure(settings.log_level, settings.environment, None if options.command == "serve" else sys.stderr)
    configure_libraries(os.environ, usable())
    if options.command != "triton-repository":
        os.umask(PRIVATE)
    from ml_api.cli.existing import READERS, require_indexed

    if options.command in READERS:
        require_indexed(settings)
    match options.command:
        case "serve":
            _serve(settings, given)
        case "sync":
            return _sync(settings, options)
        case "migrate":
            return _migrate(settings, options)
        case "extract" | "export" | "import":
            return _transfer(settings, options)
        case "keys":
            from ml_api.cli.keys import keys

            return keys(settings, options)
        case "calibrate" | "evaluate" | "duplicates" | "search":
            return _look_at(settings, options)
    return _write_triton_repository(settings, options.dir.expanduser())


def _serve(settings: Settings, given: dict[str, Given]) -> NoReturn:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(Exit.DONE))  # nothing is open yet, and importing takes a second
    from ml_api.serving import Server, end

    try:
        code = _outcome(Server(settings).run, given)
    except Exception:  # noqa: BLE001 - a fault of ours
        _log.critical("the service failed", exc_info=True)
        code = Exit.FAILED
    end(code)  # also when it could not start: beside the HTTP server's threads, Python's own end aborts now and then


def _sync(settings: Settings, options: Options) -> Exit:
    from ml_api.cli.sync import show_plan, sync
    from ml_api.indexing.jobs import SyncOptions

    wanted = SyncOptions(**{field.name: getattr(options, field.name) for field in fields(SyncOptions) if field.name != "operation"})
    if options.dry_run:
        return show_plan(settings, wanted, as_json=options.json)
    return sync(settings, wanted, options.report)


def _migrate(settings: Settings, options: Options) -> Exit:
    from ml_api.cli.migrate import drop_old, migrate, roll_back

    if options.rollback:
        return roll_back(settings)
    return drop_old(settings) if options.drop_old else migrate(settings, switch=not options.no_switch)


def _transfer(settings: Settings, options: Options) -> Exit:
    from ml_api.cli.export import export
    from ml_api.cli.extract import extract
    from ml_api.cli.import_ import import_

    file = options.file.expanduser()
    if options.command == "import":
        return import_(settings, file, options.model_id)
    return extract(settings, file) if options.command == "extract" else export(settings, file)


def _look_at(settings: Settings, options: Options) -> Exit:
    """Run a command that reads the index."""
    if options.command == "search":
        from ml_api.cli.search import search

        return search(settings, options)
    if options.command == "calibrate":
        from ml_api.cli.calibrate import calibrate

        return calibrate(settings)
    if options.command == "evaluate":
        from ml_api.cli.evaluate import evaluate_recall, evaluate_relevance

        if options.what == "judgements":
            from ml_api.cli.judgements import evaluate_judgements

            return evaluate_judgements(settings, options)
        if options.what == "relevance":
            return evaluate_relevance(settings, options.queries, as_json=options.json)
        return evaluate_recall(settings, options.queries, options.k, options.plot, as_json=options.json)
    from ml_api.cli.duplicates import duplicates
    from ml_api.duplicates import DuplicateThresholds

    thresholds = DuplicateThresholds(options.near_bits, options.near_similarity, options.similarity)
    return duplicates(settings, thresholds, as_json=options.json)


def _write_triton_repository(settings: Settings, folder: Path) -> Exit:
    from ml_api.services import write_triton_repository

    for model in write_triton_repository(settings, folder):
        tell(f"wrote {model}")
    return Exit.DONE


def _table(name: str) -> str:
    """Imports only the module that declares the rows of this table."""
    match name:
        case "metrics":
            from ml_api.metrics import metrics_table

            return metrics_table()
        case "log-fields":
            return logs.fields_table()
    from ml_api.settings import settings_table

    return settings_table()
