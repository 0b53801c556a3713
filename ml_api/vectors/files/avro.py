"""Reads and writes Avro, with the vector as an array of float, whose bytes are those of float32. Reads Vertex AI's schema, too."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import RawIOBase
from pathlib import Path
from typing import Any, BinaryIO

import fastavro

from ml_api.errors import InvalidInput
from ml_api.records import ImageRecord, Vectors
from ml_api.vectors.files.base import BrokenRow, Row, unreadable, vector_of
from ml_api.vectors.files.columns import KEYS, KINDS, MODEL, VECTOR, VECTORS, flat_columns_of

_TYPES = {str: "string", int: "long", float: "double", dict: "string"}
SCHEMA = fastavro.parse_schema(
    {
        "type": "record",
        "name": "ml_api.Image",
        "fields": [
            {"name": MODEL, "type": "string"},
            *({"name": name, "type": _TYPES[kind]} for name, kind in KINDS.items()),
            {"name": VECTOR, "type": {"type": "array", "items": "float"}},
        ],
    }
)


class AvroFormat:
    """The VectorFormat of Avro files."""

    suffix = ".avro"

    def count(self, path: Path) -> int:
        with _opened(path) as file:
            return sum(block.num_records for block in fastavro.block_reader(file))

    def read(self, path: Path) -> Iterator[Row | BrokenRow]:
        number = 0
        with _opened(path) as file:
            records = fastavro.reader(file)
            column = _vector_column(path, records.writer_schema)
            for number, record in enumerate(records, 1):
                place = f"row {number:,}"
                assert isinstance(record, dict)
                try:
                    vector = vector_of(record.pop(column))
                except ValueError as exc:
                    yield BrokenRow(place, str(exc))
                else:
                    yield Row(place, record, vector)

    def write(self, path: Path, model_id: str, records: Sequence[ImageRecord], vectors: Vectors) -> None:
        rows = (
            flat_columns_of(record, model_id) | {VECTOR: vector.tolist()} for record, vector in zip(records, vectors, strict=True)
        )
        with path.open("wb") as file:
            fastavro.writer(file, SCHEMA, rows)

    def join(self, parts: Sequence[Path], whole: Path) -> None:
        """Copy block by block, without decoding the rows."""
        with whole.open("wb") as joined:
            writer = fastavro.write.Writer(joined, SCHEMA)
            for part in parts:
                with part.open("rb") as file:
                    for block in fastavro.block_reader(file):
                        writer.write_block(block)
            writer.flush()


def _vector_column(path: Path, schema: Any) -> str:
    fields = schema.get("fields") if isinstance(schema, dict) and schema.get("type") == "record" else None
    types = {field["name"]: field["type"] for field in fields or ()}
    column = next((name for name in VECTORS if name in types), None)
    if column is None or not set(KEYS) & set(types):
        raise unreadable(path, f"its records have the fields {', '.join(types) or 'of another schema'}, not those of a vector file")
    if not _takes_space(types[column]) or not all(map(_takes_space, types.values())):
        raise unreadable(path, "its schema has arrays of nothing, which could be endless")
    return column


def _takes_space(schema: Any) -> bool:
    """Whether every array in the schema has items of at least one byte: a small file could claim any number of empty items."""
    if isinstance(schema, list):
        return all(map(_takes_space, schema))
    if not isinstance(schema, dict):
        return True
    kind = schema["type"]
    if kind in ("array", "map"):  # a list, which `kind` may be, is not hashable
        inner = schema["items" if kind == "array" else "values"]
        return not _may_be_empty(inner) and _takes_space(inner)
    if kind == "record":
        return all(_takes_space(field["type"]) for field in schema["fields"])
    return isinstance(kind, str) or _takes_space(kind)


def _may_be_empty(schema: Any) -> bool:
    """Whether a value of the schema may take no bytes. A union takes some, as it begins with the number of its branch."""
    if not isinstance(schema, dict):
        return bool(schema == "null")
    kind = schema["type"]
    if kind == "record":
        return all(_may_be_empty(field["type"]) for field in schema["fields"])
    if kind == "fixed":
        return not schema["size"]
    return _may_be_empty(kind)


class _BoundedReader(RawIOBase):
    """Reads an untrusted file: fastavro requests as many bytes at once as a length in the file claims, which may not be there."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size

    def read(self, size: int = -1, /) -> bytes:
        if size > self._size - self._file.tell():
            if self._file.tell() == self._size:
                return b""
            raise ValueError(f"it claims {size:,} bytes behind byte {self._file.tell():,} of {self._size:,}")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a file. Raises InvalidInput, also for errors while the caller reads: fastavro raises many types for a damaged file."""
    with path.open("rb") as file:
        try:
            yield _BoundedReader(file, path.stat().st_size)
        except (InvalidInput, OSError):
            raise
        except Exception as exc:
            why = str(exc) or type(exc).__name__
            raise unreadable(path, f"it is no whole Avro file ({why[:200]})") from exc
