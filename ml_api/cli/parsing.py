"""Parsing of the command line. Every setting except secrets is an option of every command, generated from its declaration.

`--help` shows what a command has of its own, and the settings that it is mostly given; all, some hundred, `--help-settings`.
"""

import argparse
import difflib
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ml_api import __version__
from ml_api.cli.commands import COMMANDS, TABLES
from ml_api.cli.exits import Exit
from ml_api.settings import Given, Settings, environment_name, option_name
from ml_api.settings.loading import SECRETS
from ml_api.settings.reference import values_of

ORDER = """\
Options override environment variables (ML_API_*), and these override the file .env in the working directory. Other users of this
machine can read the options of a process, so secrets are variables only: """

CLOSE = 0.75
"""How much two names have in common of which one is likely the other, misspelt."""

Options = argparse.Namespace


def parse(arguments: Sequence[str] | None) -> tuple[Options, dict[str, Given], list[str]]:
    """The options, the settings among them by field, and problems with unknown options. Exits for `--help`."""
    parser = _parser()
    arguments = sys.argv[1:] if arguments is None else arguments
    options, unknown = parser.parse_known_args(arguments)
    if options.command is None:
        parser.print_help(sys.stderr)
        parser.exit(Exit.MISCONFIGURED)
    chosen: _Parser = options.chosen
    if options.command == "sync" and options.json and not options.dry_run:
        chosen.error("--json is for --dry-run; --report FILE writes what a sync did as JSON")
    given = {
        field: Given(option_name(field), str(value)) for field, value in vars(options).items() if field in Settings.model_fields
    }
    folder = getattr(options, "folder", None)
    if folder is not None and _belongs_to_unknown(folder, arguments, unknown):
        folder = next((word for word in unknown if not word.startswith("-")), None)
    if folder is not None:
        given["corpus"] = Given("DIR", folder)
    if options.command == "search" and not (options.text or options.image):
        chosen.error("say what the images should show, or name an --image that they should look like")
    if unknown and options.command in TABLES:
        chosen.error(f"{options.command} takes no {unknown[0]}")
    return options, given, _problems(unknown, chosen.names)


def _belongs_to_unknown(folder: str, arguments: Sequence[str], unknown: Sequence[str]) -> bool:
    """Whether `folder` is the value of an unknown option: `sync --dat x` has one mistake, not two."""
    before = arguments[arguments.index(folder) - 1]
    return before in unknown and before.startswith("-") and "=" not in before


def _problems(unknown: Sequence[str], known: Sequence[str]) -> list[str]:
    names = [word.partition("=")[0] for word in unknown if word.startswith("-")]
    problems = []
    for name in names:
        close = [option for option in known if option.startswith(name)] or difflib.get_close_matches(name, known, n=1, cutoff=CLOSE)
        problems.append(f"{name} is not an option" + (f"; did you mean {close[0]}?" if close else ""))
    return problems or [f"{word!r} is one argument too many" for word in unknown]


class _Parser(argparse.ArgumentParser):
    @property
    def names(self) -> list[str]:
        """Of its options."""
        return list(self._option_string_actions)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ml-api" if Path(sys.argv[0]).name == "ml-api" else "python -m ml_api",
        description="Semantic image search. `COMMAND --help` shows the options of a command.",
        epilog="exit codes:\n" + "\n".join(f"  {code.value:<3} {code.meaning}" for code in Exit),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=__version__)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    for command in COMMANDS:
        itself = subparsers.add_parser(
            command.name,
            usage=f"{parser.prog} {command.name} [OPTION...]{command.arguments}",
            help=command.does,
            description=command.does,
            parents=[_settings_parser(parser.prog, command.settings)],
            allow_abbrev=False,
        )
        itself.add_argument(
            "--help-settings",
            action=_ShowSettings,
            nargs=0,
            help="list all settings, such as --data-dir and --model: each is an option of every command",
        )
        itself.set_defaults(chosen=itself)
        command.options(itself)
    for table in TABLES:
        itself = subparsers.add_parser(table, help=f"list all {table.replace('-', ' ')} as a Markdown table")
        itself.set_defaults(chosen=itself)
    return parser


class _ShowSettings(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        _settings_parser(parser.prog, tuple(Settings.model_fields)).print_help()
        parser.exit()


@cache
def _settings_parser(prog: str, shown: tuple[str, ...]) -> _Parser:
    """Options without validation, help for those `shown`: Settings validates the values and reports all problems at once."""
    secrets = ", ".join(environment_name(field) for field in sorted(SECRETS))
    parser = _Parser(usage=f"{prog} [OPTION...]", add_help=False, argument_default=argparse.SUPPRESS, epilog=f"{ORDER}{secrets}.")
    group = parser.add_argument_group("settings")
    for field, schema in _schemas().items():
        if field in SECRETS:
            continue
        takes: dict[str, Any] = {"metavar": _placeholder(schema)}
        if schema.get("type") == "boolean":  # as a flag: a value that may be left out would take the next argument
            takes = {"action": argparse.BooleanOptionalAction}
        group.add_argument(option_name(field), dest=field, help=_help(schema) if field in shown else argparse.SUPPRESS, **takes)
    return parser


@cache
def _schemas() -> dict[str, dict[str, Any]]:
    """By setting."""
    schemas: dict[str, dict[str, Any]] = Settings.model_json_schema()["properties"]
    return schemas


def _help(schema: dict[str, Any]) -> str:
    values, default = values_of(schema), schema.get("default")
    told = [schema["description"]]
    if "maximum" in schema:
        told.append(f"{values[0].upper()}{values[1:]}.")
    if default not in (None, ""):
        told.append(f"Default: {'no' if default is False else default}.")
    return " ".join(told).replace("`", "").replace("%", "%%")


def _placeholder(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return "|".join(schema["enum"])
    if any(part.get("format", "").endswith("path") for part in (schema, *schema.get("anyOf", ()))):
        return "PATH"
    return {"integer": "N", "number": "N"}.get(schema.get("type", ""), "TEXT")
