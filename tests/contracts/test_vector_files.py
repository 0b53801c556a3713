"""What every format of vector files does: the round trip is exact, and what is broken is named."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ml_api.records import image_id
from ml_api.vectors.files.base import BrokenRow, Row
from ml_api.vectors.files.columns import model_of, record_of
from ml_api.vectors.files.opening import FORMATS, format_to_write, open_vectors
from tests.contracts.samples import DIM, MODEL, gallery, record, unit_vectors
from tests.contracts.test_vector_store import HOSTILE_KEYS

NAMES = ("vectors.parquet", "vectors.jsonl", "vectors.csv", "vectors.avro", "vectors")


@pytest.fixture(params=NAMES)
def path(request, tmp_path):
    return tmp_path / request.param


def write(path, records, vectors, model=MODEL):
    format_to_write(path).write(path, model, records, vectors)
    return path


def read(path):
    rows = list(open_vectors(path).read())
    assert not [row for row in rows if isinstance(row, BrokenRow)]
    return [record_of(row.fields) for row in rows], np.stack([row.vector for row in rows])


def assert_same_bits(found, expected):
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.view(np.uint32), expected.view(np.uint32))


def test_records_and_vectors_come_back_exactly(path):
    records, vectors = gallery(2500)
    records[3] = replace(records[3], metadata={"tags": ["ü", None, True], "deep": {"n": 0.1, "big": 2**63 - 1}, "quote": '",\n'})
    records[4] = replace(records[4], indexed_at=1_700_000_000.1234567, width=0, version="", digest="")
    found, rows = read(write(path, records, vectors))
    assert found == records
    assert_same_bits(rows, vectors)


def test_every_key_that_a_store_takes_comes_back(path):
    records = [
        record(key, metadata={"caption": key, key: "a name"}) for key in [*HOSTILE_KEYS, "\ufeffmarked", "k" * 4096, "\r", "\r\n"]
    ]
    vectors = unit_vectors(len(records))
    found, rows = read(write(path, records, vectors))
    assert found == records
    assert_same_bits(rows, vectors)


@settings(max_examples=10)
@given(vectors=arrays(np.float32, (50, DIM), elements=st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_any_float_comes_back_bit_for_bit(tmp_path_factory, vectors):
    folder = tmp_path_factory.mktemp("floats")
    records = [record(str(number)) for number in range(len(vectors))]
    for name in NAMES:
        assert_same_bits(read(write(folder / name, records, vectors))[1], vectors)


def test_the_model_stands_in_the_file(path):
    opened = open_vectors(write(path, *gallery(3)))
    assert (opened.model_id, opened.dim) == (MODEL, DIM)
    assert {model_of(row.fields) for row in opened.read()} == {MODEL}


def test_the_rows_are_counted_without_reading_them(path):
    assert open_vectors(write(path, *gallery(37))).rows == 37


def test_parts_are_joined_in_their_order(path):
    records, vectors = gallery(50)
    form = format_to_write(path)
    parts = [path.with_name(f"part-{number}{form.suffix}") for number in range(3)]
    for part, (start, end) in zip(parts, [(0, 20), (20, 21), (21, 50)], strict=True):
        write(part, records[start:end], vectors[start:end])
    form.join(parts, path)
    found, rows = read(path)
    assert found == records
    assert_same_bits(rows, vectors)
    assert open_vectors(path).rows == 50
    assert all(part.exists() for part in parts)


def test_a_place_names_the_row_by_its_number(path):
    places = [row.place for row in open_vectors(write(path, *gallery(3))).read()]
    expected = {
        ".csv": ["line 2", "line 3", "line 4"],
        ".jsonl": ["line 1", "line 2", "line 3"],
        "": [f"img_emb_0.npy, row {number}" for number in (1, 2, 3)],
    }
    assert places == expected.get(path.suffix, ["row 1", "row 2", "row 3"])


def test_a_vector_of_nan_comes_back_as_one(path):
    vectors = unit_vectors(3)
    vectors[1, 2] = np.nan
    vectors[2, 0] = np.inf
    listed = [json.dumps(vector.tolist()) for vector in vectors]  # as Python's json writes them, which other programs use
    if path.suffix == ".jsonl":
        path.write_text("".join(f'{{"key": "{number}", "vector": {text}}}\n' for number, text in enumerate(listed)))
    elif path.suffix == ".csv":
        path.write_text("key,vector\n" + "".join(f'{number},"{text}"\n' for number, text in enumerate(listed)))
    else:
        write(path, [record(str(number)) for number in range(3)], vectors)
    rows = list(open_vectors(path).read())
    assert [bool(np.isfinite(row.vector).all()) for row in rows] == [True, False, False]


def test_folders_of_files_are_read_in_the_order_of_names(tmp_path):
    records, vectors = gallery(40)
    for number, name in enumerate(["a.jsonl", "b.parquet", "c.avro", "d.csv"]):
        write(tmp_path / name, records[10 * number : 10 * number + 10], vectors[10 * number : 10 * number + 10])
    (tmp_path / "README.txt").write_text("not a vector file")
    found, rows = read(tmp_path)
    assert found == records
    assert_same_bits(rows, vectors)
    assert [row.place for row in open_vectors(tmp_path).read()][10:12] == ["b.parquet, row 1", "b.parquet, row 2"]


def test_every_format_has_the_endings_of_its_field():
    assert set(FORMATS) == {".parquet", ".jsonl", ".ndjson", ".json", ".csv", ".avro", ""}


def test_a_row_is_found_under_its_key(path):
    [row] = open_vectors(write(path, *gallery(1))).read()
    assert isinstance(row, Row)
    assert record_of(row.fields).id == image_id("shelf 0/picture 0.jpg")
