"""Parsing of the command line. Every setting except secrets is an option, generated from its declaration."""

import argparse
import difflib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import Any

from ml_api import __version__
from ml_api.cli.exits import Exit
from ml_api.settings import Given, Settings, environment_name, option_name
from ml_api.settings.loading import SECRETS
from ml_api.settings.reference import values_of

TABLES = ("settings", "metrics", "log-fields")
"""The tables of docs/ that are made from the code."""

ORDER = """\
Options override environment variables (ML_API_*), and these override the file .env in the working directory. Other users of this
machine can read the options of a process, so secrets are variables only: """

ARGUMENTS = {
    "sync": " [DIR]",
    "triton-repository": " DIR",
    "extract": " FILE [DIR]",
    "export": " FILE",
    "import": " FILE",
    "evaluate": " recall|relevance",
    "keys": " create NAME | list | revoke ID",
    "search": " [TEXT] [--image FILE]",
}
"""What a command takes beside options, for its usage."""

Options = argparse.Namespace


@dataclass(frozen=True, slots=True)
class Number:
    """An option of one command: a number within bounds, which reads itself."""

    name: str
    least: int | float
    most: int | float
    default: int | float
    meaning: str

    @property
    def help(self) -> str:
        return f"{self.meaning}. {self.least} to {self.most}. Default: {self.default}"

    def __call__(self, text: str) -> int | float:
        """Raises argparse's error."""
        try:
            number = type(self.default)(text)
        except ValueError:
            number = nan
        if not self.least <= number <= self.most:
            kind = "a whole number" if isinstance(self.default, int) else "a number"
            raise argparse.ArgumentTypeError(f"must be {kind} from {self.least} to {self.most} (got {text!r})")
        return number


QUERIES = Number("queries", 2, 10_000, 100, "stored images to search for, drawn at random")
NEIGHBOURS = Number("k", 1, 1000, 10, "how many of the nearest are compared")
HITS = Number("limit", 1, 100, 10, "how many images to find")
THRESHOLDS = (
    Number("near-bits", 0, 63, 8, "near: most bits, of 63, in which the perceptual hashes differ"),
    Number("near-similarity", -1, 1, 0.55, "near: least cosine of the embeddings; depends on the model"),
    Number("similarity", -1, 1, 0.98, "similar: least cosine of the embeddings; depends on the model"),
)
"""Those of `duplicates.Thresholds`, which a test compares: the command line imports no numpy."""


def _number_or_file(text: str) -> int | float | Path:
    """Raises argparse's error."""
    return QUERIES(text) if text.lstrip("-").isdigit() else Path(text)


def parse(arguments: Sequence[str] | None) -> tuple[Options, dict[str, Given], list[str]]:
    """The options, the settings among them by field, and problems with unknown options. Exits for `--help`."""
    parser = _parser()
    arguments = sys.argv[1:] if arguments is None else arguments
    options, unknown = parser.parse_known_args(arguments)
    if options.command == "sync" and options.json and not options.dry_run:
        parser.error("--json is for --dry-run; --report FILE writes what a sync did as JSON")
    given = {
        field: Given(option_name(field), str(value)) for field, value in vars(options).items() if field in Settings.model_fields
    }
    folder = getattr(options, "folder", None)
    if folder is not None and _belongs_to_unknown(folder, arguments, unknown):
        folder = next((word for word in unknown if not word.startswith("-")), None)
    if folder is not None:
        given["corpus"] = Given("DIR", folder)
    if options.command == "search" and not (options.text or options.image):
        parser.error("search: say what the images should show, or name an --image that they should look like")
    if unknown and options.command in TABLES:
        parser.error(f"{options.command} takes no {unknown[0]}")
    return options, given, _problems(unknown)


def _belongs_to_unknown(folder: str, arguments: Sequence[str], unknown: Sequence[str]) -> bool:
    """Whether `folder` is the value of an unknown option: `sync --dat x` has one mistake, not two."""
    before = arguments[arguments.index(folder) - 1]
    return before in unknown and before.startswith("-") and "=" not in before


def _problems(unknown: Sequence[str]) -> list[str]:
    known = [option_name(field) for field in Settings.model_fields]
    names = [word.partition("=")[0] for word in unknown if word.startswith("-")]
    problems = []
    for name in names:
        close = [option for option in known if option.startswith(name)] or difflib.get_close_matches(name, known, n=1)
        problems.append(f"{name} is not an option" + (f"; did you mean {close[0]}?" if close else ""))
    return problems or [f"{word!r} is one argument too many" for word in unknown]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ml-api" if Path(sys.argv[0]).name == "ml-api" else "python -m ml_api",
        description="Semantic image search. `serve --help` lists all settings.",
        epilog="exit codes:\n" + "\n".join(f"  {code.value:<3} {code.meaning}" for code in Exit),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    settings = _settings_parser()

    def command(name: str, does: str) -> argparse.ArgumentParser:
        usage = f"{parser.prog} {name} [OPTION...]" + ARGUMENTS.get(name, "")
        return commands.add_parser(
            name, usage=usage, help=does, description=does, epilog=settings.epilog, parents=[settings], allow_abbrev=False
        )

    command("serve", "serve the search page and the API")
    sync = command("sync", "make the index equal to a folder or bucket of images")
    sync.add_argument(
        "folder", metavar="DIR", nargs="?", help="the folder, or a URL such as s3://bucket/prefix; default: the setting corpus"
    )
    sync.add_argument("--allow-empty", action="store_true", help="continue if the corpus is empty, and empty the index")
    sync.add_argument("--allow-removals", action="store_true", help="continue if more than a fifth of the index would be removed")
    sync.add_argument("--replace", action="store_true", help="replace the indexed corpus by this one")
    sync.add_argument("--retry-failed", action="store_true", help="read unchanged files again that failed before")
    instead = sync.add_mutually_exclusive_group()
    instead.add_argument("--dry-run", action="store_true", help="show what a sync would do, and change nothing")
    instead.add_argument(
        "--report", type=Path, metavar="FILE", help="write the files that were not unchanged to FILE, as JSON lines"
    )
    sync.add_argument("--json", action="store_true", help="with --dry-run: print JSON")
    written = "the file: .parquet, .jsonl, .csv, .avro, or without an ending a folder of NumPy arrays"
    extract = command("extract", "write the vectors of a folder or bucket of images to a file, without a vector store")
    extract.add_argument("file", type=Path, metavar="FILE", help=written)
    extract.add_argument(
        "folder", metavar="DIR", nargs="?", help="the folder, or a URL such as s3://bucket/prefix; default: the setting corpus"
    )
    export = command("export", "write the indexed images with their vectors to a file")
    export.add_argument("file", type=Path, metavar="FILE", help=written)
    import_ = command("import", "index the vectors of a file")
    import_.add_argument("file", type=Path, metavar="FILE", help="a file of vectors, or a folder of such files")
    import_.add_argument(
        "--model-id", default="", metavar="ID", help="the model that made the vectors, if the file does not say so"
    )
    keys = command("keys", "create, list and revoke API keys, beside a running service too")
    keys.add_argument("action", choices=("create", "list", "revoke"), help="a key is shown once, when it is created")
    keys.add_argument("subject", metavar="NAME|ID", nargs="?", help="create: what the key is for; revoke: its id")
    keys.add_argument("--scope", metavar="SCOPE,...", help="create: what the key may do: search, write, admin")
    keys.add_argument("--expires", metavar="90d", help="create: after how many hours (h), days (d) or weeks (w); default: never")
    migrate = command("migrate", "use another model: embed the corpus with it while the one in use goes on answering, then switch")
    instead = migrate.add_mutually_exclusive_group()
    instead.add_argument("--no-switch", action="store_true", help="embed and compare only")
    instead.add_argument("--rollback", action="store_true", help="use the model again that was in use before")
    instead.add_argument("--drop-old", action="store_true", help="remove the vectors of all models that are not in use")
    _options_of_search(
        command("search", "find images by a text, by an image, or by both; through a running service if there is one")
    )
    duplicates = command("duplicates", "list images that are indexed more than once")
    duplicates.add_argument("--json", action="store_true", help="one JSON object a group and line")
    for threshold in THRESHOLDS:
        duplicates.add_argument(f"--{threshold.name}", metavar="N", type=threshold, default=threshold.default, help=threshold.help)
    command("calibrate", "fit what the scores of this corpus mean, so that searches tell whether there is a match")
    evaluate = command(
        "evaluate",
        "measure recall and time of the index against exact search, at several search parameters; or how well it is told whether "
        "there is a match, on judged queries",
    )
    evaluate.add_argument("what", choices=("recall", "relevance"), help="what to measure")
    evaluate.add_argument(
        "--queries",
        metavar="N|FILE",
        type=_number_or_file,
        default=QUERIES.default,
        help=f'recall: {QUERIES.help}. relevance: a file of lines {{"text": "a red car", "keys": ["those", "that", "match"]}}',
    )
    evaluate.add_argument("--k", metavar="N", type=NEIGHBOURS, default=NEIGHBOURS.default, help=NEIGHBOURS.help)
    evaluate.add_argument("--plot", metavar="FILE", type=Path, help="draw it, too (.png, .svg, .pdf); needs matplotlib")
    repository = command("triton-repository", "write the model repository for a Triton server")
    repository.add_argument("dir", type=Path, metavar="DIR", help="the folder that Triton is started with (--model-repository)")
    for table in TABLES:
        commands.add_parser(table, help=f"list all {table.replace('-', ' ')} as a Markdown table")
    return parser


def _options_of_search(search: argparse.ArgumentParser) -> None:
    search.add_argument("text", metavar="TEXT", nargs="?", help="what the images should show")
    search.add_argument("--image", type=Path, metavar="FILE", help="an image that they should look like")
    search.add_argument("--limit", metavar="N", type=HITS, default=HITS.default, help=HITS.help)
    shown = search.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    shown.add_argument("--html", type=Path, metavar="FILE", help="write the pictures as a page, which holds all it shows")
    shown.add_argument("--open", action="store_true", help="show that page in the browser")


def _settings_parser() -> argparse.ArgumentParser:
    """Options without validation: Settings validates the values and reports all problems at once."""
    secrets = ", ".join(environment_name(field) for field in sorted(SECRETS))
    parser = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS, epilog=f"{ORDER}{secrets}.")
    group = parser.add_argument_group("settings")
    for field, schema in Settings.model_json_schema()["properties"].items():
        if field in SECRETS:
            continue
        takes: dict[str, Any] = {"metavar": _placeholder(schema)}
        if schema.get("type") == "boolean":  # as a flag: a value that may be left out would take the next argument
            takes = {"action": argparse.BooleanOptionalAction}
        group.add_argument(option_name(field), dest=field, help=_help(schema), **takes)
    return parser


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
