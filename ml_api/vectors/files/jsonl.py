"""Reads and writes JSON lines. Reads the files of Vertex AI's Vector Search, too: `{"id": …, "embedding": […], "restricts":
[…]}`."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from ml_api.records import ImageRecord, Vectors
from ml_api.vectors.files.base import BrokenRow, Row, unreadable, vector_of
from ml_api.vectors.files.columns import VECTOR, VECTORS, columns_of
from ml_api.vectors.files.lines import MAX_LINE_BYTES, count_lines, join_bytes, lines_of, to_the_end
from ml_api.vectors.files.numbers import as_json


class JsonLinesFormat:
    """The VectorFormat of JSON lines."""

    suffix = ".jsonl"

    def count(self, path: Path) -> int:
        return count_lines(path)

    def read(self, path: Path) -> Iterator[Row | BrokenRow]:
        return to_the_end(path, _rows(path))

    def write(self, path: Path, model_id: str, records: Sequence[ImageRecord], vectors: Vectors) -> None:
        with path.open("w", encoding="utf-8", newline="\n") as file:
            for record, vector in zip(records, as_json(vectors), strict=True):
                fields = json.dumps(columns_of(record, model_id), ensure_ascii=False)
                file.write(f'{fields[:-1]}, "{VECTOR}": {vector}}}\n')

    def join(self, parts: Sequence[Path], whole: Path) -> None:
        join_bytes(parts, whole, without_first_lines=False)


def _rows(path: Path) -> Iterator[Row | BrokenRow]:
    with path.open("rb") as file:
        for number, line in enumerate(lines_of(file), 1):
            if number == 1 and line is not None and line.lstrip().startswith(b"["):
                raise unreadable(path, "it is one JSON list; write its objects one a line (JSON lines), as `jq -c '.[]'` does")
            if line is None or line.strip():
                yield _row(f"line {number:,}", line)


def _row(place: str, line: bytes | None) -> Row | BrokenRow:
    if line is None:
        return BrokenRow(place, f"the line has more than {MAX_LINE_BYTES:,} bytes")
    try:
        fields = json.loads(line)
    except ValueError:
        return BrokenRow(place, "not JSON")
    except RecursionError:
        return BrokenRow(place, "JSON nested too deeply")
    if not isinstance(fields, dict):
        return BrokenRow(place, "not a JSON object")
    try:
        vector = vector_of(next((fields.pop(name) for name in VECTORS if name in fields), None))
    except ValueError as exc:
        return BrokenRow(place, str(exc))
    return Row(place, fields, vector)
