"""From the metadata files of a corpus, and a catalogue, to one table."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import PurePosixPath
from typing import BinaryIO

from ml_api.corpus.metadata.catalogue import Catalogue
from ml_api.corpus.metadata.fields import Fields
from ml_api.corpus.metadata.parquet import ParquetRows
from ml_api.corpus.metadata.rows import KEYS, Row, listed, split_key
from ml_api.corpus.metadata.table import Metadata
from ml_api.corpus.metadata.text import CsvRows, jsonl_rows
from ml_api.errors import InvalidInput
from ml_api.vocabulary import METADATA_ENDINGS

METADATA_FILES = tuple(f"metadata{ending}" for ending in METADATA_ENDINGS)
"""In the root. Where several say something of a field, the latter counts."""

PROBLEMS_SHOWN = 20
"""Problems of one kind reported for one file; further ones are counted."""

Open = Callable[[], BinaryIO]


def metadata_version(version_of: Callable[[str], str], catalogue: Catalogue | None) -> str:
    """Differs once the metadata may have changed; `version_of` tells that of a file of the corpus root, empty if there is none."""
    return " ".join([*map(version_of, METADATA_FILES), catalogue.version() if catalogue else ""])


def read_metadata(open_file: Callable[[str], BinaryIO], catalogue: Catalogue | None = None) -> Metadata:
    """The metadata files of a corpus, if it has any, and the catalogue, which counts more. Close what is returned.

    `open_file` opens a file of the corpus root by name, to be read from any position, and raises OSError. Raises CorpusUnavailable
    if the rows cannot be kept.
    """
    metadata, problems = Metadata(), list[str]()
    with ExitStack() as undo:
        undo.callback(metadata.close)
        for name in METADATA_FILES:
            problems += _from(metadata, name, lambda name=name: open_file(name), optional=True)  # type: ignore[misc]
        if catalogue is not None:
            problems += _from(metadata, catalogue.name, catalogue.open, optional=False)
        metadata.join()
        problems += _repeated(metadata)
        undo.pop_all()
    metadata.problems = tuple(problems)
    return metadata


def _from(metadata: Metadata, name: str, opened: Open, *, optional: bool) -> list[str]:
    """Add a file, as far as it can be read, and say what was wrong."""
    try:
        with opened() as file:
            return _add(metadata, name, file)
    except FileNotFoundError:
        if optional:
            return []
        reason = "there is no such file"
    except OSError as exc:
        reason = exc.strerror or type(exc).__name__
    except InvalidInput as exc:
        reason = exc.detail
    metadata.complete = False
    return [f"{name} cannot be read: {reason}; images keep their present metadata"]


def _add(metadata: Metadata, name: str, file: BinaryIO) -> list[str]:
    """Add the rows. Raises OSError, or InvalidInput for a file that cannot be read whole."""
    what = _word(name)
    rows: Iterator[Row]
    match PurePosixPath(name).suffix:
        case ".parquet":
            found = ParquetRows(file)
            rows, fields = iter(found), None
        case ".csv":
            table = CsvRows(file)
            rows, fields = iter(table), Fields(textual=True, decimal_commas=table.has_decimal_commas)
        case _:
            rows, fields = jsonl_rows(file), Fields(textual=False)
    problems: list[str] = []
    more = 0
    with metadata.source(name) as add:
        for number, row, wrong in rows:
            key, rest = split_key(row or {})
            if row is not None and key is not None:
                add(key, number, rest)
                if fields is not None:
                    fields.note(number, rest)
            elif len(problems) < PROBLEMS_SHOWN:
                problem = wrong or f'no text under "{KEYS[0]}", only {listed(row or ())}'
                problems.append(f"{name}, {what} {number}: {problem}" if number else f"{name}: {problem}")
            else:
                more += 1
    if more:
        problems.append(f"{name}: {more:,} more {what}s that cannot be used")
    if fields is None:
        metadata.types |= found.types
        return problems
    metadata.types |= fields.decide()
    metadata.understand(fields)
    return [*problems, *(f"{name}, {problem}" for problem in fields.problems(what))]


def _repeated(metadata: Metadata) -> list[str]:
    problems: list[str] = []
    times = Counter[str]()
    for name, number, key, first in metadata.repeated():
        times[name] += 1
        if times[name] <= PROBLEMS_SHOWN:
            what = _word(name)
            problems.append(f"{name}, {what} {number}: {repr(key)[:80]} is the key of {what} {first} already, which counts")
    more = ((name, number - PROBLEMS_SHOWN) for name, number in times.items())
    return problems + [f"{name}: {number:,} more {_word(name)}s repeat a key" for name, number in more if number > 0]


def _word(name: str) -> str:
    """What a row is called in messages: text is edited by lines."""
    return "row" if name.endswith(".parquet") else "line"
