"""Metadata in Parquet: typed by the schema, whatever types and values it holds."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml_api.corpus.metadata.fields import FieldType
from ml_api.corpus.metadata.parquet import BATCH
from tests.files.metadata_files import ReadMetadata


def read(tmp_path, columns, **options):
    table = columns if isinstance(columns, pa.Table) else pa.table(columns)
    pq.write_table(table, tmp_path / "metadata.parquet", **options)
    return ReadMetadata(tmp_path)


@pytest.mark.parametrize(
    ("values", "kind", "meant"),
    [
        (pa.array([1], pa.int8()), FieldType.INTEGER, 1),
        (pa.array([2**40], pa.uint64()), FieldType.INTEGER, 2**40),
        (pa.array([1.5]), FieldType.NUMBER, 1.5),
        (pa.array([True]), FieldType.BOOLEAN, True),
        (pa.array(["2026"]), FieldType.TEXT, "2026"),
        (pa.array(["x"], pa.large_string()), FieldType.TEXT, "x"),
        (pa.array(["x"]).dictionary_encode(), FieldType.TEXT, "x"),
        (pa.array([Decimal("9.95")], pa.decimal128(10, 2)), FieldType.NUMBER, 9.95),
        (pa.array([Decimal(12)], pa.decimal128(10, 0)), FieldType.NUMBER, 12),
        (pa.array([date(2026, 11, 27)]), FieldType.DATE, "2026-11-27"),
        (pa.array([datetime(2026, 11, 27, 10)], pa.timestamp("us")), FieldType.DATE, "2026-11-27T10:00:00"),  # noqa: DTZ001 - naive
        (
            pa.array([datetime(2026, 11, 27, 10, tzinfo=UTC)], pa.timestamp("s", "Asia/Tokyo")),
            FieldType.DATE,
            "2026-11-27T10:00:00Z",
        ),
        (pa.array([1_700_000_000_123_456_789], pa.timestamp("ns")), FieldType.DATE, "2023-11-14T22:13:20.123456"),
        (pa.array([time(10, 30)]), FieldType.TEXT, "10:30:00"),
        (pa.array([timedelta(seconds=90)]), FieldType.NUMBER, 90.0),
        (pa.array([["red", "blue"]]), FieldType.LIST, ["red", "blue"]),
        (pa.array([{"a": 1, "b": [date(2026, 1, 1)]}]), FieldType.OBJECT, {"a": 1, "b": ["2026-01-01"]}),
        (pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())), FieldType.OBJECT, {"a": 1}),
        (pa.array([[{"deep": [[1]]}]]), FieldType.LIST, [{"deep": [[1]]}]),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_each_type_has_its_meaning_in_json(tmp_path, values, kind, meant):
    metadata = read(tmp_path, {"key": ["a.jpg"], "v": values})
    assert metadata.by_key == {"a.jpg": {"v": meant}}
    assert metadata.types == {"v": kind}
    assert not metadata.problems


@pytest.mark.parametrize("none", [pa.array([None], pa.int64()), pa.array([float("nan")]), pa.nulls(1)])
def test_a_value_that_is_missing_is_left_out(tmp_path, none):
    assert read(tmp_path, {"key": ["a.jpg"], "v": none}).by_key == {"a.jpg": {}}


def test_bytes_are_left_out_and_named(tmp_path):
    metadata = read(tmp_path, {"key": ["a.jpg"], "jpg": [b"\xff\xd8"], "n": [1]})
    assert metadata.by_key == {"a.jpg": {"n": 1}}
    assert metadata.problems == ("metadata.parquet: bytes are no metadata; left out: 'jpg'",)


def test_a_value_that_python_has_not_is_one_problem_and_the_other_rows_are_read(tmp_path):
    dates = pa.array([0, 2**30, 1], pa.int32()).cast(pa.date32())
    metadata = read(tmp_path, {"key": ["a.jpg", "b.jpg", "c.jpg"], "day": dates})
    assert metadata.by_key == {"a.jpg": {"day": "1970-01-01"}, "c.jpg": {"day": "1970-01-02"}}
    [problem] = metadata.problems
    assert problem.startswith("metadata.parquet, row 2: a value cannot be read")


def test_text_that_is_none_is_one_problem(tmp_path):
    names = pa.array([b"good", b"\xff\xfe"]).view(pa.string())
    metadata = read(tmp_path, {"key": ["a.jpg", "b.jpg"], "name": names})
    assert metadata.by_key == {"a.jpg": {"name": "good"}}
    assert [problem.partition(":")[0] for problem in metadata.problems] == ["metadata.parquet, row 2"]


def test_rows_without_a_key_and_repeated_keys_are_named(tmp_path):
    keys = [f"{number}.jpg" for number in range(2 * BATCH + 5)]
    keys[BATCH], keys[-1] = None, "0.jpg"
    metadata = read(tmp_path, {"key": keys})
    assert len(metadata.by_key) == 2 * BATCH + 3
    assert metadata.problems == (
        f'metadata.parquet, row {BATCH + 1}: no text under "key", only nothing',
        f"metadata.parquet, row {2 * BATCH + 5}: '0.jpg' is the key of row 1 already, which counts",
    )


def test_numbers_are_keys(tmp_path):
    assert read(tmp_path, {"product_id": [1234], "n": [1]}).by_key == {"1234": {"product_id": 1234, "n": 1}}


def test_columns_without_a_key_are_named(tmp_path):
    metadata = read(tmp_path, {"file": ["a.jpg"]})
    assert metadata.problems == ("metadata.parquet: it has no column \"key\"; its columns are 'file'",)


def damaged_footer(data):
    return data[:-8] + b"\0" * 8


def cut_off(data):
    return data[: len(data) // 2]


def damaged_pages(data):
    return data[:4] + bytes(byte ^ 0xFF for byte in data[4:600]) + data[600:]


@pytest.mark.parametrize("damage", [damaged_footer, cut_off, damaged_pages, lambda _data: b"", lambda _data: b"PAR1"])
def test_a_damaged_file_takes_nothing_from_the_images(tmp_path, damage):
    read(tmp_path, {"key": [f"{number}.jpg" for number in range(2000)]})
    path = tmp_path / "metadata.parquet"
    path.write_bytes(damage(path.read_bytes()))
    metadata = ReadMetadata(tmp_path)
    assert metadata.by_key == {}
    assert not metadata.complete
    [problem] = metadata.problems
    assert problem.startswith("metadata.parquet cannot be read: it is ")
    assert problem.endswith("images keep their present metadata")
