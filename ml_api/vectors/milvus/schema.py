"""Defines the fields of a collection, and converts records to its rows and back."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pymilvus import CollectionSchema, DataType, MilvusClient

from ml_api.records import Entry, ImageRecord, Vectors
from ml_api.vectors.base import MAX_KEY_BYTES
from ml_api.vectors.filters import Field
from ml_api.vectors.filters.columns import Columns
from ml_api.vectors.validation import DIGEST_CHARS, HASH_CHARS, MAX_HASH_BYTES, MAX_VERSION_BYTES, split_metadata

ID_CHARS = 32
VECTOR = "vector"
ENTRY_FIELDS = ["id", "key", "version", "digest"]
RECORD_FIELDS = [*ENTRY_FIELDS, "width", "height", "indexed_at", "metadata"]

MAX_TEXT_BYTES = 65_535
"""Longest text in a column; metadata cannot contain a longer one."""

CHUNK_BYTES = 16 * 2**20
"""Most bytes of rows in one message. Milvus refuses messages over 64 MB."""

ROW_OVERHEAD_BYTES = 256
"""A generous estimate of the numbers and the framing of one row, including up to ten fields with columns."""

HASH_MARK = "\x1f"
"""Separates the version from the perceptual hash, which follows it in the same field. Collections made before there were hashes
have no field for it, neither Milvus Lite nor servers before 2.6 can add one, and every listing reads this field anyway. Without a
mark the hash is unknown."""

Row = dict[str, Any]


def collection_schema(dim: int, fields: Iterable[Field] = ()) -> CollectionSchema:
    """Return the schema of a collection in which `fields` have columns of their own."""
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=ID_CHARS)
    schema.add_field("key", DataType.VARCHAR, max_length=MAX_KEY_BYTES)
    schema.add_field("version", DataType.VARCHAR, max_length=MAX_VERSION_BYTES + MAX_HASH_BYTES)
    schema.add_field("digest", DataType.VARCHAR, max_length=DIGEST_CHARS)
    schema.add_field("width", DataType.INT64)
    schema.add_field("height", DataType.INT64)
    schema.add_field("indexed_at", DataType.DOUBLE)
    schema.add_field("metadata", DataType.JSON)
    for columns in map(Columns, fields):
        schema.add_field(columns.number, DataType.DOUBLE)
        schema.add_field(columns.text, DataType.VARCHAR, max_length=MAX_TEXT_BYTES)
    schema.add_field(VECTOR, DataType.FLOAT_VECTOR, dim=dim)
    return schema


def rows_of(
    records: Sequence[ImageRecord], metadata: Sequence[Mapping[str, Any]], vectors: Vectors, fields: Iterable[Field] = ()
) -> list[Row]:
    """Convert records to rows, one for each id, of the last record with that id: a server would keep both rows of an id that is
    twice in one message."""
    columns = [Columns(field) for field in fields]
    rows = {
        record.id: {
            "id": record.id,
            "key": record.key,
            "version": _with_hash(record),
            "digest": record.digest,
            "width": record.width,
            "height": record.height,
            "indexed_at": float(record.indexed_at),
            "metadata": plain,
            **_cells(columns, plain),
            VECTOR: np.asarray(vector, dtype=np.float32),
        }
        for record, plain, vector in zip(records, metadata, vectors, strict=True)
    }
    return list(rows.values())


def _cells(columns: Iterable[Columns], stored: Mapping[str, Any]) -> Row:
    metadata, _ = split_metadata(stored)
    return {name: cell for of_field in columns for name, cell in of_field.cells(metadata).items()}


def row_bytes(row: Row) -> int:
    """An upper bound of the row's bytes in a message: a character has up to four bytes."""
    text = sum(len(cell) for cell in row.values() if isinstance(cell, str)) + len(repr(row["metadata"]))
    return int(row[VECTOR].nbytes) + 4 * text + ROW_OVERHEAD_BYTES


def chunks(rows: Sequence[Row]) -> Iterator[tuple[list[Row], int]]:
    """Yield rows in chunks of at most CHUNK_BYTES, each with its size in bytes."""
    chunk: list[Row] = []
    size = 0
    for row in rows:
        more = row_bytes(row)
        if chunk and size + more > CHUNK_BYTES:
            yield chunk, size
            chunk, size = [], 0
        chunk.append(row)
        size += more
    if chunk:
        yield chunk, size


def entry_of(row: Mapping[str, Any]) -> Entry:
    version, phash = _without_hash(row["version"])
    return Entry(row["id"], row["key"], version, row["digest"], phash=phash)


def record_of(row: Mapping[str, Any]) -> ImageRecord:
    return _record(*(row[name] for name in RECORD_FIELDS))


def records_of(columns: Mapping[str, Sequence[Any]]) -> list[ImageRecord]:
    """The records of rows that were read as columns."""
    return list(map(_record, *(columns[name] for name in RECORD_FIELDS)))


def _record(  # noqa: PLR0913, PLR0917 - the RECORD_FIELDS
    id_: str, key: str, stored_version: str, digest: str, width: int, height: int, indexed_at: float, stored: Mapping[str, Any]
) -> ImageRecord:
    version, phash = _without_hash(stored_version)
    metadata, edited = split_metadata(stored)
    return ImageRecord(id_, key, version, digest, int(width), int(height), float(indexed_at), metadata, edited, phash=phash)


def _with_hash(record: ImageRecord) -> str:
    """The version with the hash. Without a hash there is a mark only if the version itself contains one."""
    if not record.phash and HASH_MARK not in record.version:
        return record.version
    room = MAX_VERSION_BYTES + MAX_HASH_BYTES - len(f"{record.version}{HASH_MARK}".encode())
    phash = record.phash if len(record.phash) <= room else record.phash[:HASH_CHARS]
    return f"{record.version}{HASH_MARK}{phash}"


def _without_hash(stored: str) -> tuple[str, str]:
    version, mark, phash = stored.rpartition(HASH_MARK)
    return (version, phash) if mark else (stored, "")


def vector_of(row: Mapping[str, Any]) -> npt.NDArray[np.float32]:
    return np.asarray(row[VECTOR], dtype=np.float32)
