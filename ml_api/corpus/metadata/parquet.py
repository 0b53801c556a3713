"""Rows of metadata in Parquet, batch by batch, as the values of JSON that they mean."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, BinaryIO

from ml_api.corpus.metadata.fields import FieldType, iso
from ml_api.corpus.metadata.rows import KEYS, Row, key_field, listed
from ml_api.errors import InvalidInput

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 1000


class ParquetRows:
    """The rows of a Parquet file, and the types of its fields. Raises OSError, and InvalidInput if it is none or damaged."""

    def __init__(self, file: BinaryIO) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._errors = (pa.ArrowException, OSError)
        try:
            # Unbuffered, a whole row group would be read at once.
            self._file = pq.ParquetFile(file, buffer_size=2**20, pre_buffer=False)
            schema = self._file.schema_arrow
        except self._errors as exc:
            raise InvalidInput("it is no Parquet file, or damaged") from exc
        self._left_out = [field.name for field in schema if _type_of(field.type) is None]
        self._columns = [field.name for field in schema if field.name not in self._left_out]
        key = key_field(tuple(self._columns))
        self.types = {
            field.name: kind
            for field in schema
            if (kind := _type_of(field.type)) is not None and (field.name != key or key != KEYS[0])
        }

    def __iter__(self) -> Iterator[Row]:
        if key_field(tuple(self._columns)) is None:
            yield 0, None, f'it has no column "{KEYS[0]}"; its columns are {listed(self._columns)}'
            return
        if self._left_out:
            yield 0, None, f"bytes are no metadata; left out: {listed(self._left_out)}"
        first = 1
        try:
            for batch in self._file.iter_batches(BATCH, columns=self._columns):
                yield from _rows(_readable(batch), first)
                first += batch.num_rows
        except self._errors as exc:
            raise InvalidInput(f"it is damaged: nothing can be read from row {first:,} on") from exc


def _rows(batch: "pa.RecordBatch", first: int) -> Iterator[Row]:
    """The rows of a batch; if one of them has no value in Python, one by one."""
    import pyarrow as pa

    try:
        rows = [plain(row) for row in batch.to_pylist(maps_as_pydicts="lossy")]
    except (pa.ArrowException, ValueError, OverflowError, TypeError):
        if batch.num_rows == 1:
            yield first, None, "a value cannot be read: a date out of range, or text that is not UTF-8"
            return
        for place in range(batch.num_rows):
            yield from _rows(batch.slice(place, 1), first + place)
        return
    for place, row in enumerate(rows):
        yield first + place, row, ""


def _readable(batch: "pa.RecordBatch") -> "pa.RecordBatch":
    """Times in microseconds: Python has no shorter ones."""
    import pyarrow as pa

    columns = [
        column.cast(pa.timestamp("us", column.type.tz), safe=False)
        if pa.types.is_timestamp(column.type) and column.type.unit == "ns"
        else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row without what has no value: null, NaN."""
    return {name: _plain(value) for name, value in row.items() if value is not None and value == value}  # noqa: PLR0124 - NaN


def _plain(value: Any) -> Any:  # noqa: PLR0911 - a table
    match value:
        case datetime():
            return iso(value)
        case date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case list():
            return [_plain(one) for one in value]
        case dict():
            return {str(name): _plain(one) for name, one in value.items()}
        case bytes():
            return None
        case _:
            return value


def _type_of(kind: "pa.DataType") -> FieldType | None:  # noqa: PLR0911 - a table
    """None for bytes, which JSON does not have."""
    from pyarrow import types

    if types.is_dictionary(kind):
        return _type_of(kind.value_type)
    if types.is_boolean(kind):
        return FieldType.BOOLEAN
    if types.is_integer(kind):
        return FieldType.INTEGER
    if types.is_floating(kind) or types.is_decimal(kind) or types.is_duration(kind):
        return FieldType.NUMBER
    if types.is_date(kind) or types.is_timestamp(kind):
        return FieldType.DATE
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return None
    if types.is_nested(kind):
        return FieldType.LIST if not (types.is_struct(kind) or types.is_map(kind)) else FieldType.OBJECT
    return FieldType.TEXT
