"""Reads and writes Parquet, with vectors as lists of a fixed number of float32, which pandas, DuckDB and Spark read."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from ml_api.records import ImageRecord, Vectors
from ml_api.vectors.files.base import ROWS_AT_ONCE, BrokenRow, Row, unreadable, vector_of
from ml_api.vectors.files.columns import KINDS, MODEL, VECTOR, VECTORS, flat_columns_of

_TYPES = {str: pa.string(), int: pa.int64(), float: pa.float64(), dict: pa.string()}
COLUMNS = pa.schema([(MODEL, pa.string()), *((name, _TYPES[kind]) for name, kind in KINDS.items())])


class ParquetFormat:
    """The VectorFormat of Parquet files. `join` makes each part a row group."""

    suffix = ".parquet"

    def count(self, path: Path) -> int:
        with opened(path) as file:
            return int(file.metadata.num_rows)

    def read(self, path: Path) -> Iterator[Row | BrokenRow]:
        number = 0
        with opened(path) as file:
            names = file.schema_arrow.names
            column = next((name for name in VECTORS if name in names), None)
            if column is None:
                raise unreadable(path, f"it has no column {' or '.join(VECTORS)}, only {', '.join(names[:20])}")
            for batch in file.iter_batches(ROWS_AT_ONCE):
                for fields, vector in zip(batch.drop_columns([column]).to_pylist(), vectors_of(batch.column(column)), strict=True):
                    number += 1
                    place = f"row {number:,}"
                    yield BrokenRow(place, vector) if isinstance(vector, str) else Row(place, fields, vector)

    def write(self, path: Path, model_id: str, records: Sequence[ImageRecord], vectors: Vectors) -> None:
        columns = table_of(records, model_id)
        lists = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])
        pq.write_table(columns.append_column(VECTOR, lists), path, use_dictionary=columns.column_names)

    def join(self, parts: Sequence[Path], whole: Path) -> None:
        with pq.ParquetWriter(whole, pq.read_schema(parts[0]), use_dictionary=COLUMNS.names) as writer:
            for part in parts:
                writer.write_table(pq.read_table(part, partitioning=None))


def table_of(records: Sequence[ImageRecord], model_id: str) -> pa.Table:
    """The records as a table, without their vectors."""
    return pa.Table.from_pylist([flat_columns_of(record, model_id) for record in records], schema=COLUMNS)


@contextmanager
def opened(path: Path) -> Iterator[pq.ParquetFile]:
    """Open a file. Raises InvalidInput, also for errors while the caller reads."""
    try:
        # Without buffering ahead, which would hold whole row groups in memory.
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=2**20) as file:
            yield file
    except (pa.ArrowException, OSError, MemoryError, UnicodeDecodeError) as exc:
        if isinstance(exc, OSError) and exc.errno is not None:  # from the system; Arrow's, for damaged pages, have no number
            raise
        raise unreadable(path, f"it is no whole Parquet file ({_first_line(exc)})") from exc


def _first_line(exc: BaseException) -> str:
    return next(iter(str(exc).splitlines()), type(exc).__name__)[:200]


def vectors_of(column: pa.Array) -> Sequence[npt.NDArray[np.float32] | str]:
    """The vector of each row, or the reason why it has none."""
    kind = column.type
    lists = pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if lists and column.null_count == 0 and pa.types.is_floating(kind.value_type):
        with np.errstate(over="ignore"):
            flat = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
        return np.split(flat, np.cumsum(column.value_lengths().to_numpy(zero_copy_only=False))[:-1])
    return [_vector_or_reason(value) for value in column.to_pylist()]


def _vector_or_reason(value: Any) -> npt.NDArray[np.float32] | str:
    try:
        return vector_of(value)
    except ValueError as exc:
        return str(exc)
