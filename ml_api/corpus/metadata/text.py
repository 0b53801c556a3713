"""Rows of metadata as text: JSON lines and CSV. A broken row is reported once, and reading continues with the next line.

Memory is bounded by a line, and a line by MAX_LINE.
"""

import codecs
import csv
import io
import json
from collections.abc import Callable, Iterator
from typing import BinaryIO, TypeVar

from ml_api.corpus.metadata.rows import KEYS, Row, key_field, listed
from ml_api.csv_records import csv_records

DELIMITERS = (",", ";", "\t", "|")
"""CSV delimiters that spreadsheets write, depending on the locale."""

Text = TypeVar("Text", str, bytes)

UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

MAX_LINE = 4 * 2**20
"""Characters or bytes of a line that are read; the largest metadata of an image have a 64th of it."""

MAX_RECORD = 2**17
"""Characters of a record of CSV, which may have several lines: twice the largest metadata of an image."""


def jsonl_rows(file: BinaryIO) -> Iterator[Row]:
    """One object a line. Raises OSError."""
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


class CsvRows:
    """The rows of CSV below its header; all values are text. Raises OSError, while iterating too."""

    def __init__(self, file: BinaryIO) -> None:
        self._lines = _lines(file)
        self._delimiter, self._columns = _columns(next(self._lines, ""))

    @property
    def has_decimal_commas(self) -> bool:
        """Whether `12,90` may be a number: spreadsheets separate by semicolons where the comma is the decimal separator."""
        return self._delimiter == ";"

    def __iter__(self) -> Iterator[Row]:
        delimiter, columns = self._delimiter, self._columns
        if key_field(tuple(columns)) is None:
            yield 0, None, f'it has no column "{KEYS[0]}"; its columns are {listed(columns)}'
            return
        for number, values, wrong in csv_records(self._lines, str, longest=MAX_RECORD, delimiter=delimiter, first=2):
            if values is None:
                yield number, None, wrong
            elif any(values[len(columns) :]):
                yield (
                    number,
                    None,
                    f"{len(values)} values for {len(columns)} columns; one that holds {delimiter!r} belongs in quotes",
                )
            elif values:
                yield number, dict(zip(columns, values, strict=False)), ""


def _columns(header: str) -> tuple[str, list[str]]:
    """The delimiter that yields a column `key`, else the one that yields most columns, and the column names."""
    attempts = [(delimiter, _split(header, delimiter)) for delimiter in DELIMITERS]
    return max(attempts, key=lambda attempt: (key_field(tuple(attempt[1])) is not None, len(attempt[1])))


def _split(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line[:MAX_RECORD]], delimiter=delimiter), [])
    except csv.Error:
        return []


def _lines(file: BinaryIO) -> Iterator[str]:
    """Decoded lines: UTF-16 if the file has its byte order mark, else UTF-8, or Windows-1252 for lines that are not UTF-8.

    Spreadsheets write UTF-16 and Windows-1252. What a line has beyond MAX_LINE is left out.
    """
    mark = file.read(len(codecs.BOM_UTF8))
    file.seek(len(mark) if mark == codecs.BOM_UTF8 else 0)
    if mark[:2] in UTF16_MARKS:
        text = io.TextIOWrapper(file, "utf-16", "replace", newline="")
        try:
            yield from _bounded(text.readline, "\n")
        finally:
            text.detach()  # or it would close the file
    else:
        yield from map(_utf8_or_windows, _bounded(file.readline, b"\n"))


def _bounded(readline: Callable[[int], Text], end: Text) -> Iterator[Text]:
    while line := readline(MAX_LINE):
        yield line
        while len(line) == MAX_LINE and not line.endswith(end):
            line = readline(MAX_LINE)


def _utf8_or_windows(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("windows-1252", "replace")
