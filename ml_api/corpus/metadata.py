"""Facts about images, kept beside them: `metadata.jsonl` or `metadata.csv` in the corpus root, joined by `key`.

A row that is broken costs itself only: it is reported once, and reading goes on with the next line.
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
"""The field that names the image, in whatever case and between whatever spaces."""

DELIMITERS = (",", ";", "\t", "|")
"""Of CSV, as written by spreadsheets in one country or another."""

PROBLEMS_SHOWN = 20
"""Of one file; the others are counted."""

UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

Row = tuple[int, Mapping[str, Any] | None, str]
"""The line where it begins, and its fields; or none, and what is wrong with it."""


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
            problems.append(f"{name} cannot be read: {exc.strerror}; images keep the metadata that they have")
    return Metadata(by_key, tuple(problems), complete)


def comparable(key: str) -> str:
    """The form in which keys are compared: one accented letter may be one character or two, as file systems have it."""
    return unicodedata.normalize("NFC", key)


def fingerprint(metadata: Mapping[str, Any]) -> str:
    """Changes when the metadata does, so that a sync notices; empty for none."""
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
    """The delimiter that makes `key` a column, and the names; if none does, that which makes most columns."""
    attempts = [(delimiter, _split(header, delimiter)) for delimiter in DELIMITERS]
    return max(attempts, key=lambda attempt: (any(map(_is_key, attempt[1])), len(attempt[1])))


def _split(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def _records(lines: Iterator[str], delimiter: str) -> Iterator[tuple[int, list[str] | None, str]]:
    """Records after the header, each by itself: one that is broken ends with its first line, and the lines after it are read again.

    A quote that is never closed would take all that follows into one field.
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
    """What is to be read again, and then the rest, with a note of what was taken."""
    while True:
        line = again.popleft() if again else next(lines, None)
        if line is None:
            return
        taken.append(line)
        yield line


def _lines(file: BinaryIO) -> Iterator[str]:
    """Lines as text: UTF-16 if the file begins with its mark; else UTF-8, or Windows-1252 where a line is none.

    The first and the last are what spreadsheets write.
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
