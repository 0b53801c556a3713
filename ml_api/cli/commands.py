"""The commands, and what each takes beside the settings."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from math import nan
from pathlib import Path

Parser = argparse.ArgumentParser

TABLES = ("settings", "metrics", "log-fields")
"""The tables of docs/ that are made from the code."""


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
    Number("near-bits", 0, 63, 7, "near: most bits, of 63, in which the perceptual hashes differ"),
    Number("near-similarity", -1, 1, 0.55, "near: least cosine of the embeddings; depends on the model"),
    Number("similarity", -1, 1, 0.98, "similar: least cosine of the embeddings; depends on the model"),
)
"""Those of `duplicates.DuplicateThresholds`, which a test compares: the command line imports no numpy."""


def _number_or_file(text: str) -> int | float | Path:
    """Raises argparse's error."""
    return QUERIES(text) if text.lstrip("-").isdigit() else Path(text)


def _none(_parser: Parser) -> None:
    """Settings only."""


def _sync(sync: Parser) -> None:
    _folder(sync)
    sync.add_argument("--allow-empty", action="store_true", help="continue if the corpus is empty, and empty the index")
    sync.add_argument("--allow-removals", action="store_true", help="continue if more than a fifth of the index would be removed")
    sync.add_argument("--replace", action="store_true", help="replace the indexed corpus by this one")
    sync.add_argument("--retry-failed", action="store_true", help="read unchanged files again that failed before")
    sync.add_argument(
        "--rehash", action="store_true", help="read images again that have no perceptual hash of this version, without embedding"
    )
    instead = sync.add_mutually_exclusive_group()
    instead.add_argument("--dry-run", action="store_true", help="show what a sync would do, and change nothing")
    instead.add_argument(
        "--report", type=Path, metavar="FILE", help="write the files that were not unchanged to FILE, as JSON lines"
    )
    sync.add_argument("--json", action="store_true", help="with --dry-run: print JSON")


def _folder(parser: Parser) -> None:
    parser.add_argument(
        "folder", metavar="DIR", nargs="?", help="the folder, or a URL such as s3://bucket/prefix; default: the setting corpus"
    )


def _extract(extract: Parser) -> None:
    _export(extract)
    _folder(extract)


def _export(export: Parser) -> None:
    export.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="the file: .parquet, .jsonl, .csv, .avro, or without an ending a folder of NumPy arrays",
    )


def _import(import_: Parser) -> None:
    import_.add_argument("file", type=Path, metavar="FILE", help="a file of vectors, or a folder of such files")
    import_.add_argument(
        "--model-id", default="", metavar="ID", help="the model that made the vectors, if the file does not say so"
    )


def _keys(keys: Parser) -> None:
    keys.add_argument("action", choices=("create", "list", "revoke"), help="a key is shown once, when it is created")
    keys.add_argument("subject", metavar="NAME|ID", nargs="?", help="create: what the key is for; revoke: its id")
    keys.add_argument("--scope", metavar="SCOPE,...", help="create: what the key may do: search, write, admin")
    keys.add_argument("--expires", metavar="90d", help="create: after how many hours (h), days (d) or weeks (w); default: never")


def _migrate(migrate: Parser) -> None:
    instead = migrate.add_mutually_exclusive_group()
    instead.add_argument("--no-switch", action="store_true", help="embed and compare only")
    instead.add_argument("--rollback", action="store_true", help="use the model again that was in use before")
    instead.add_argument("--drop-old", action="store_true", help="remove the vectors of all models that are not in use")


def _search(search: Parser) -> None:
    search.add_argument("text", metavar="TEXT", nargs="?", help="what the images should show")
    search.add_argument("--image", type=Path, metavar="FILE", help="an image that they should look like")
    search.add_argument("--limit", metavar="N", type=HITS, default=HITS.default, help=HITS.help)
    search.add_argument("--offset", metavar="N", help="how many of the best to skip")
    search.add_argument("--filter", metavar="JSON", help='conditions on metadata, as the API takes them: {"price": {"lt": 20}}')
    search.add_argument("--min-relevance", metavar="N", help="leave out hits with a lower relevance, 0 to 1")
    search.add_argument(
        "--group", metavar="NAME", help="one hit for equal and near-identical pictures (duplicates), or for each value of a field"
    )
    search.add_argument("--match", metavar="auto|vector|text", help="what images are searched by, beside a text")
    shown = search.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    shown.add_argument("--html", type=Path, metavar="FILE", help="write the pictures as a page, which holds all it shows")
    shown.add_argument("--open", action="store_true", help="show that page in the browser")


def _duplicates(duplicates: Parser) -> None:
    duplicates.add_argument("--json", action="store_true", help="one JSON object a group and line")
    for threshold in THRESHOLDS:
        duplicates.add_argument(f"--{threshold.name}", metavar="N", type=threshold, default=threshold.default, help=threshold.help)


def _evaluate(evaluate: Parser) -> None:
    evaluate.add_argument("what", choices=("recall", "relevance", "judgements"), help="what to measure")
    evaluate.add_argument(
        "--queries",
        metavar="N|FILE",
        type=_number_or_file,
        default=QUERIES.default,
        help=f'recall: {QUERIES.help}. relevance: a file of lines {{"text": "a red car", "keys": ["those", "that", "match"]}}. '
        'judgements: lines {"text": "a red car", "key": "cars/1.jpg", "grade": 1}, or TREC qrels; default: the feedback',
    )
    evaluate.add_argument("--k", metavar="N", type=NEIGHBOURS, default=NEIGHBOURS.default, help=NEIGHBOURS.help)
    evaluate.add_argument(
        "--topics",
        metavar="FILE",
        type=Path,
        help="judgements: the texts of TREC qrels, which --queries names: ID, tab, TEXT",
    )
    evaluate.add_argument(
        "--setup",
        metavar="NAME=VALUE,...",
        action="append",
        help="judgements: how to search, such as exact=true, effort=200, model=DIR, or what /v1/search takes; repeated, to compare",
    )
    evaluate.add_argument("--json", action="store_true", help="print JSON")
    evaluate.add_argument("--plot", metavar="FILE", type=Path, help="draw it, too (.png, .svg, .pdf); needs matplotlib")


def _triton_repository(repository: Parser) -> None:
    repository.add_argument("dir", type=Path, metavar="DIR", help="the folder that Triton is started with (--model-repository)")


@dataclass(frozen=True, slots=True)
class Command:
    name: str
    does: str
    arguments: str = ""
    """What it takes beside options, for its usage."""
    options: Callable[[Parser], None] = _none
    settings: tuple[str, ...] = ()
    """Those that it is mostly given."""


COMMANDS = (
    Command(
        "serve",
        "serve the search page and the API",
        settings=("corpus", "watch", "catalogue", "model", "data_dir", "host", "port", "metrics_port"),
    ),
    Command(
        "sync",
        "make the index equal to a folder or bucket of images",
        " [DIR]",
        _sync,
        settings=("ignore", "include", "catalogue", "model", "data_dir"),
    ),
    Command(
        "extract",
        "write the vectors of a folder or bucket of images to a file, without a vector store",
        " FILE [DIR]",
        _extract,
        settings=("model",),
    ),
    Command("export", "write the indexed images with their vectors to a file", " FILE", _export),
    Command("import", "index the vectors of a file", " FILE", _import),
    Command("keys", "create, list and revoke API keys, beside a running service too", " create NAME | list | revoke ID", _keys),
    Command(
        "migrate",
        "use another model: embed the corpus with it while the one in use goes on answering, then switch",
        options=_migrate,
        settings=("model",),
    ),
    Command(
        "search",
        "find images by a text, by an image, or by both; through a running service if there is one",
        " [TEXT] [--image FILE]",
        _search,
    ),
    Command("duplicates", "list images that are indexed more than once", options=_duplicates),
    Command("calibrate", "fit what the scores of this corpus mean, so that searches tell whether there is a match"),
    Command(
        "evaluate",
        "measure recall and time of the index against exact search, at several search parameters; how well the calibration "
        "predicts matches, on judged queries; or precision and recall of searches on judged queries",
        " recall|relevance|judgements",
        _evaluate,
    ),
    Command("triton-repository", "write the model repository for a Triton server", " DIR", _triton_repository),
)
