"""Metadata of images: `metadata.jsonl` or `metadata.csv` in the corpus root, joined by `key`.

A broken row is reported once, and reading continues with the next line.
"""

import codecs
import csv
import hashlib
import io
import json
import unicodedata
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

from ml_api.corpus.base import Metadata

METADATA_FILES = ("metadata.jsonl", "metadata.csv")
"""In the root. What both say of an image is taken from the latter."""

KEY = "key"
"""The field with the image's key; its name is compared without case and surrounding spaces."""

DELIMITERS = (",", ";", "\t", "|")
"""CSV delimiters that spreadsheets write, depending on the locale."""

PROBLEMS_SHOWN = 20
"""Problems reported for one file; further ones are counted."""

UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

Row = tuple[int, Mapping[str, Any] | None, str]
"""The number of its first line, and its fields; or None, and what is wrong with it."""


def read_metadata(open_file: Callable[[str], BinaryIO]) -> Metadata:
    """Read the metadata files of a corpus, if it has any. `open_file` opens a file of its root by name and raises OSError."""
    by_key: dict[str, Mapping[str, Any]] = {}
    problems: list[str] = []
    complete = True
    for name, rows in zip(METADATA_FILES, (_jsonl_rows, _csv_rows), strict=True):
        try:
            with open_file(name) as file:
                found, broken = _read(name, rows(file))
            by_key |= found
            problems += broken
        except FileNotFoundError:
            continue
        except OSError as exc:
            complete = False
            problems.append(f"{name} cannot be read: {exc.strerror}; images keep their present metadata")
    return Metadata(by_key, tuple(problems), complete)


def comparable(key: str) -> str:
    """The form in which keys are compared (NFC): file systems differ in how they store accents."""
    return unicodedata.normalize("NFC", key)


def fingerprint(metadata: Mapping[str, Any]) -> str:
    """A hash of the metadata, by which a sync notices changes; empty without metadata."""
    if not metadata:
        return ""
    return hashlib.sha256(json.dumps(metadata, sort_keys=True).encode()).hexdigest()[:16]


def _read(name: str, rows: Iterator[Row]) -> tuple[dict[str, Mapping[str, Any]], list[str]]:
    by_key: dict[str, Mapping[str, Any]] = {}
    problems: list[str] = []
    more = 0
    for number, fields, wrong in rows:
        place = next(filter(_is_key, fields or ()), None)
        if fields is not None and place is not None and isinstance(fields[place], str):
            by_key[comparable(fields[place])] = {field: value for field, value in fields.items() if field != place}
        elif len(problems) < PROBLEMS_SHOWN:
            what = wrong or f'no text under "{KEY}", only {_names(list(fields or ()))}'
            problems.append(f"{name}, line {number}: {what}" if number else f"{name}: {what}")
        else:
            more += 1
    return by_key, [*problems, f"{name}: {more:,} more lines that cannot be used"] if more else problems


def _is_key(field: str) -> bool:
    return field.strip().lower() == KEY


def _names(fields: list[str]) -> str:
    shown = ", ".join(repr(field[:40]) for field in fields[:10])
    return (shown + (", …" if len(fields) > 10 else "")) or "nothing"


def _jsonl_rows(file: BinaryIO) -> Iterator[Row]:
    for number, line in enumerate(_lines(file), 1):
        if line.strip():
            try:
                fields = json.loads(line)
            except ValueError:
                yield number, None, "not JSON"
            except RecursionError:
                yield number, None, "JSON nested too deeply"
            else:
                yield (number, fields, "") if isinstance(fields, dict) else (number, None, "not a JSON object")


def _csv_rows(file: BinaryIO) -> Iterator[Row]:
    lines = _lines(file)
    header = next(lines, "")
    delimiter, columns = _columns(header)
    if not any(map(_is_key, columns)):
        yield 0, None, f'it has no column "{KEY}"; its columns are {_names(columns)}'
        return
    for number, values, wrong in _records(lines, delimiter):
        if values is None:
            yield number, None, wrong
        elif values:
            yield number, dict(zip(columns, values, strict=False)), ""


def _columns(header: str) -> tuple[str, list[str]]:
    """The delimiter that yields a column `key`, else the one that yields most columns, and the column names."""
    attempts = [(delimiter, _split(header, delimiter)) for delimiter in DELIMITERS]
    return max(attempts, key=lambda attempt: (any(map(_is_key, attempt[1])), len(attempt[1])))


def _split(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def _records(lines: Iterator[str], delimiter: str) -> Iterator[tuple[int, list[str] | None, str]]:
    """Records after the header, parsed one by one: a broken record ends with its first line, and its other lines are read again.

    Otherwise a quote that is never closed would swallow the rest of the file.
    """
    again: deque[str] = deque()
    number = 2
    while True:
        taken: list[str] = []
        reader = csv.reader(_feed(again, lines, taken), delimiter=delimiter, strict=True)
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as exc:
            again.extendleft(reversed(taken[1:]))
            yield number, None, f"not CSV: {exc}"
            number += 1
        else:
            yield number, values, ""
            number += len(taken)


def _feed(again: deque[str], lines: Iterator[str], taken: list[str]) -> Iterator[str]:
    """The lines to be read again, then the rest; appends each line to `taken`."""
    while True:
        line = again.popleft() if again else next(lines, None)
        if line is None:
            return
        taken.append(line)
        yield line


def _lines(file: BinaryIO) -> Iterator[str]:
    """Decoded lines: UTF-16 if the file has its byte order mark, else UTF-8, or Windows-1252 for lines that are not UTF-8.

    Spreadsheets write UTF-16 and Windows-1252.
    """
    mark = file.read(len(codecs.BOM_UTF8))
    file.seek(len(mark) if mark == codecs.BOM_UTF8 else 0)
    if mark[:2] in UTF16_MARKS:
        yield from io.StringIO(file.read().decode("utf-16", "replace"), newline="")
    else:
        yield from map(_utf8_or_windows, file)


def _utf8_or_windows(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("windows-1252", "replace")
