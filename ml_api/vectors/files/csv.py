"""Reads and writes CSV with a header, with the vector as a JSON list in one column. Reads Vertex AI's rows without a header, too:
`id,0.1,0.2,…,colour=red`."""

import csv
import json
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from ml_api.csv_records import Record, csv_records
from ml_api.records import ImageRecord, Vectors
from ml_api.vectors.files.base import BrokenRow, Row, unreadable, vector_of
from ml_api.vectors.files.columns import KEYS, KINDS, MODEL, RESTRICTS, VECTOR, VECTORS, flat_columns_of
from ml_api.vectors.files.lines import MAX_LINE_BYTES, count_lines, join_bytes, lines_of, to_the_end
from ml_api.vectors.files.numbers import as_json

HEADER = [MODEL, *KINDS, VECTOR]


class CsvFormat:
    """The VectorFormat of CSV files. Line ends within fields are preserved."""

    suffix = ".csv"

    def count(self, path: Path) -> int:
        return max(0, count_lines(path) - 1)

    def read(self, path: Path) -> Iterator[Row | BrokenRow]:
        return to_the_end(path, _rows(path))

    def write(self, path: Path, model_id: str, records: Sequence[ImageRecord], vectors: Vectors) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)  # ends lines with CR LF (RFC 4180), and so quotes fields with either character
            writer.writerow(HEADER)
            for record, vector in zip(records, as_json(vectors), strict=True):
                columns = flat_columns_of(record, model_id)
                writer.writerow([*(columns[name] for name in HEADER[:-1]), vector])

    def join(self, parts: Sequence[Path], whole: Path) -> None:
        join_bytes(parts, whole, without_first_lines=True)


def _rows(path: Path) -> Iterator[Row | BrokenRow]:
    with path.open("rb") as file:
        if file.read(len(BOM_UTF8)) != BOM_UTF8:  # as spreadsheets put it before UTF-8
            file.seek(0)
        records = (record for record in csv_records(lines_of(file), _text, longest=MAX_LINE_BYTES) if record[1] != [])
        first = next(records, None)
        if first is None:
            return
        header = first[1] or []
        if _is_vertex(header):
            yield from map(_vertex_row, chain([first], records))
        elif set(KEYS) & set(header) and set(VECTORS) & set(header):
            yield from (_row(header, record) for record in records)
        else:
            raise unreadable(path, f"its first line is no header with the columns {' or '.join(KEYS)} and {' or '.join(VECTORS)}")


def _row(header: list[str], record: Record) -> Row | BrokenRow:
    number, values, wrong = record
    place = f"line {number:,}"
    if values is None:
        return BrokenRow(place, wrong)
    if len(values) != len(header):
        return BrokenRow(place, f"it has {len(values)} fields, not {len(header)} as the header")
    fields = dict(zip(header, values, strict=True))
    column = next(name for name in VECTORS if name in fields)
    try:
        return Row(place, fields, vector_of(json.loads(fields.pop(column))))
    except (ValueError, RecursionError):
        return BrokenRow(place, "the vector is not a list of numbers")


def _is_vertex(values: list[str]) -> bool:
    return len(values) > 2 and not set(values) & {*KEYS, *VECTORS} and _is_number(values[1]) and _is_number(values[2])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _vertex_row(record: Record) -> Row | BrokenRow:
    """Convert a row of Vertex AI's. `#name=…` are numeric restrictions and crowding tags, which are left out."""
    number, values, wrong = record
    place = f"line {number:,}"
    if values is None:
        return BrokenRow(place, wrong)
    key, *rest = values
    allowed: dict[str, list[str]] = {}
    for name, equals, value in (text.partition("=") for text in rest if "=" in text):
        if equals and not name.startswith(("#", "!")) and name != "crowding_tag":
            allowed.setdefault(name, []).append(value)
    restricts = [{"namespace": name, "allow": listed} for name, listed in allowed.items()]
    try:
        vector = vector_of([float(text) for text in rest if "=" not in text])
    except ValueError:
        return BrokenRow(place, "the vector is not a list of numbers")
    return Row(place, {"id": key, RESTRICTS: restricts}, vector)


def _text(line: bytes | None) -> str:
    """Decode a line. Raises ValueError if it is too long or no UTF-8."""
    if line is None:
        raise ValueError(f"the line has more than {MAX_LINE_BYTES:,} bytes")
    return line.decode()
