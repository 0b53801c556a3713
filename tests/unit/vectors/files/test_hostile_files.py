"""Files that are broken, foreign or made to do harm: each is refused, or its rows are left out, with the place and the reason."""

import json
import os
import pickle
import struct

import fastavro
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ml_api.errors import ConfigError, InvalidInput
from ml_api.vectors.files.base import BrokenRow
from ml_api.vectors.files.columns import record_of
from ml_api.vectors.files.opening import format_to_write, open_vectors
from tests.contracts.samples import DIM, MODEL, gallery, unit_vectors

VECTOR = json.dumps(unit_vectors(1)[0].tolist())


def read(path):
    return list(open_vectors(path).read())


def outcome(path):
    """For each row its key, or what is wrong with it."""
    return [f"{row.place}: {row.reason}" if isinstance(row, BrokenRow) else str(record_of(row.fields).key) for row in read(path)]


def refusal(path):
    with pytest.raises((InvalidInput, ConfigError)) as refused:
        read(path)
    return str(refused.value)


def written(path, count=20):
    format_to_write(path).write(path, MODEL, *gallery(count))
    return path


@pytest.mark.parametrize("name", ["v.parquet", "v.avro"])
@pytest.mark.parametrize("part", [0, 3, 0.3, 0.9, -1])
def test_a_file_that_was_cut_off_says_so(tmp_path, name, part):
    path = written(tmp_path / name, 400)
    whole = path.read_bytes()
    end = int(len(whole) * part) if isinstance(part, float) else part
    path.write_bytes(whole[:end])
    assert f"{path} cannot be read: it is no whole {'Parquet' if name.endswith('parquet') else 'Avro'} file (" in refusal(path)


@pytest.mark.parametrize("name", ["v.jsonl", "v.csv"])
@pytest.mark.parametrize("part", [0.3, 0.9, -3])
def test_a_file_of_lines_that_was_cut_off_says_in_which_line(tmp_path, name, part):
    """What came before is read. Else half of the rows would be missing, and nothing said but that one is broken."""
    path = written(tmp_path / name, 400)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part) if isinstance(part, float) else part])
    lines = path.read_bytes().count(b"\n") + 1
    assert f"{path} cannot be read: it ends in the middle of line {lines} (" in refusal(path)

    path.write_bytes(path.read_bytes() + b"\n")
    assert outcome(path)[-1].startswith(f"line {lines}: "), "with its end it is a broken row among others"


@pytest.mark.parametrize("name", ["v.jsonl", "v.csv"])
def test_a_file_of_lines_needs_no_end_of_the_last_one(tmp_path, name):
    path = written(tmp_path / name, 3)
    path.write_bytes(path.read_bytes().rstrip())
    assert len(outcome(path)) == 3


@pytest.mark.parametrize("name", ["v.parquet", "v.jsonl", "v.csv", "v.avro", "v"])
def test_a_pipe_is_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    assert refusal(tmp_path / name).startswith(f"{tmp_path / name} is a pipe, a socket or a device")


def test_a_pipe_among_numpy_arrays_is_not_waited_for(tmp_path):
    path = written(tmp_path / "v")
    os.mkfifo(path / "img_emb" / "img_emb_1.npy")
    assert refusal(path).endswith("img_emb_1.npy is no file")


def test_a_json_list_says_what_is_wanted_instead(tmp_path):
    path = tmp_path / "v.json"
    path.write_text(f'[\n{{"key": "a", "vector": {VECTOR}}},\n{{"key": "b", "vector": {VECTOR}}}\n]\n')
    assert "it is one JSON list; write its objects one a line" in refusal(path)


@pytest.mark.parametrize("name", ["v.parquet", "v.avro"])
def test_a_file_with_damage_in_the_middle_is_no_crash(tmp_path, name):
    path = written(tmp_path / name, 400)
    whole = path.read_bytes()
    for start in range(0, len(whole) - 8, max(1, len(whole) // 60)):
        path.write_bytes(whole[:start] + b"\xff" * 8 + whole[start + 8 :])
        try:
            read(path)
        except InvalidInput as exc:
            assert "cannot be read" in str(exc)  # noqa: PT017 - damage to a vector itself cannot be seen


def test_a_parquet_file_of_something_else_says_what_it_has(tmp_path):
    path = tmp_path / "v.parquet"
    pq.write_table(pa.table({"key": ["a"], "price": [1.0]}), path)
    assert refusal(path).endswith("it has no column vector or embedding, only key, price")
    pq.write_table(pa.table({"key": ["a", "b", "c", "d"], "vector": [[1.0, 2.0], None, [1.0], [None, 1.0]]}), path)
    assert outcome(path) == ["a", "row 2: the vector is missing", "c", "d"]
    assert [len(row.vector) for row in read(path) if not isinstance(row, BrokenRow)] == [2, 1, 2]
    pq.write_table(pa.table({"key": ["a"], "vector": ["[1, 2]"]}), path)
    assert outcome(path) == ["row 1: the vector is not a list of numbers"]


def test_parquet_files_of_pandas_and_polars_kinds_are_read(tmp_path):
    path = tmp_path / "v.parquet"
    for kind in (pa.list_(pa.float64()), pa.large_list(pa.float32()), pa.list_(pa.float16()), pa.list_(pa.int64())):
        values = pa.array([[1, 0], [0, 1]], pa.list_(pa.int64())).cast(pa.list_(pa.float32())).to_pylist()
        column = pa.array([np.asarray(value, kind.value_type.to_pandas_dtype()) for value in values], kind)
        pq.write_table(pa.table({"id": [1, 2], "embedding": column}), path)
        assert [row.vector.tolist() for row in read(path)] == [[1, 0], [0, 1]]


def test_lines_that_are_no_json_are_named_and_the_others_read(tmp_path):
    path = tmp_path / "v.jsonl"
    lines = [
        f'{{"key": "a", "vector": {VECTOR}}}'.encode(),
        b"{broken",
        b"[1, 2]",
        b"\xff\xfe",
        b"",
        b"[" * 100_000,
        b'{"key": "b", "vector": ["x"]}',
        b'{"key": "b", "vector": [[1], [2]]}',
        b'{"key": "b"}',
        b'{"key": "b", "vector": {"a": 1}}',
        b'{"key": "long", "vector": [' + b"1," * 3_000_000 + b"1]}",
        f'{{"key": "z", "vector": {VECTOR}}}'.encode(),
    ]
    path.write_bytes(b"\n".join(lines))
    assert outcome(path) == [
        "a",
        "line 2: not JSON",
        "line 3: not a JSON object",
        "line 4: not JSON",
        "line 6: JSON nested too deeply",
        "line 7: the vector is not a list of numbers",
        "line 8: the vector is not a flat list of numbers",
        "line 9: the vector is missing",
        "line 10: the vector is not a list of numbers",
        "line 11: the line has more than 4,194,304 bytes",
        "z",
    ]


def test_rows_that_are_no_csv_are_named_and_the_others_read(tmp_path):
    path = tmp_path / "v.csv"
    lines = [
        "\ufeffkey,vector",
        f'a,"{VECTOR}"',
        'b,"never closed',
        f'c,"{VECTOR}"',
        "d",
        'e,"[1, 2"',
        "f,one",
        f'"two\nlines","{VECTOR}"',
        f'"x"y,"{VECTOR}"',
        "",
        f'z,"{VECTOR}"',
    ]
    path.write_text("\n".join(lines) + "\n")
    assert outcome(path) == [
        "a",
        "line 3: not CSV: ',' expected after '\"'",
        "c",
        "line 5: it has 1 fields, not 2 as the header",
        "line 6: the vector is not a list of numbers",
        "line 7: the vector is not a list of numbers",
        "two\nlines",
        "line 10: not CSV: ',' expected after '\"'",
        "z",
    ]


def test_a_csv_file_without_our_columns_is_refused(tmp_path):
    path = tmp_path / "v.csv"
    path.write_text("name,price\na,1\n")
    assert refusal(path).endswith("its first line is no header with the columns key or id or image_path and vector or embedding")


def test_csv_rows_of_vertex_ai_are_read_without_a_header(tmp_path):
    path = tmp_path / "v.csv"
    path.write_text("sku-1,0.6,0.8,colour=red,colour=blue,#price=3i\nsku-2,1,0\nsku-3,x,0\n")
    first, second, third = read(path)
    assert first.fields == {"id": "sku-1", "restricts": [{"namespace": "colour", "allow": ["red", "blue"]}]}
    np.testing.assert_array_equal(first.vector, np.array([0.6, 0.8], np.float32))
    assert second.place == "line 2"
    assert third == BrokenRow("line 3", "the vector is not a list of numbers")


def test_the_largest_vectors_fit_into_a_record_of_csv(tmp_path):
    path = tmp_path / "v.csv"
    format_to_write(path).write(path, MODEL, gallery(1)[0], np.full((1, 32_768), -0.12345679, np.float32))
    [row] = read(path)
    assert len(row.vector) == 32_768


def avro(path, schema, rows):
    with path.open("wb") as file:
        fastavro.writer(file, fastavro.parse_schema({"type": "record", "name": "r", "fields": schema}), rows)
    return path


FLOATS = {"type": "array", "items": "float"}


def test_an_avro_file_of_another_schema_says_what_it_has(tmp_path):
    path = avro(tmp_path / "v.avro", [{"name": "name", "type": "string"}], [{"name": "x"}])
    assert refusal(path).endswith("its records have the fields name, not those of a vector file")


def test_an_avro_file_of_vertex_ai_is_read(tmp_path):
    restrict = {"type": "record", "name": "Restrict", "fields": [
        {"name": "namespace", "type": "string"},
        {"name": "allow", "type": ["null", {"type": "array", "items": "string"}]},
    ]}  # fmt: skip
    fields = [
        {"name": "id", "type": "string"},
        {"name": "embedding", "type": FLOATS},
        {"name": "restricts", "type": ["null", {"type": "array", "items": restrict}]},
    ]
    row = {"id": "sku-1", "embedding": [0.6, 0.8], "restricts": [{"namespace": "colour", "allow": ["red"]}]}
    [found] = read(avro(tmp_path / "v.avro", fields, [row]))
    assert record_of(found.fields).metadata == {"colour": ["red"]}


@pytest.mark.parametrize(
    "items", ["null", {"type": "record", "name": "n", "fields": []}, {"type": "fixed", "name": "f", "size": 0}]
)
def test_an_avro_file_whose_arrays_could_be_endless_is_refused_unread(tmp_path, items):
    fields = [
        {"name": "id", "type": "string"},
        {"name": "embedding", "type": FLOATS},
        {"name": "bomb", "type": {"type": "array", "items": items}},
    ]
    path = avro(tmp_path / "v.avro", fields, [{"id": "a", "embedding": [1.0], "bomb": []}])
    assert "could be endless" in refusal(path)


def test_an_avro_file_that_claims_more_than_there_is_is_refused(tmp_path):
    path = avro(tmp_path / "v.avro", [{"name": "id", "type": "string"}, {"name": "embedding", "type": FLOATS}], [])
    ten_gigabytes = b"\x02" + bytes(_zigzag(10 * 2**30))
    path.write_bytes(path.read_bytes() + ten_gigabytes + b"x" * 100)
    assert "it claims 10,737,418,240 bytes" in refusal(path)


def _zigzag(number):
    number <<= 1
    while number > 127:
        yield number & 127 | 128
        number >>= 7
    yield number


def numpy_folder(tmp_path, array, keys=("a", "b")):
    (tmp_path / "img_emb").mkdir()
    (tmp_path / "metadata").mkdir()
    path = tmp_path / "img_emb" / "img_emb_0.npy"
    if isinstance(array, bytes):
        path.write_bytes(array)
    else:
        np.save(path, array, allow_pickle=True)
    pq.write_table(pa.table({"image_path": list(keys)}), tmp_path / "metadata" / "metadata_0.parquet")
    return tmp_path


class Harm:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was opened",))


def header(shape, descr="<f4"):
    text = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.array([Harm(), Harm()], dtype=object), "holds pickled Python objects"),
        (pickle.dumps(Harm()), "it is no NumPy array"),
        (b"", "it is no NumPy array"),
        (header((10_000_000_000, DIM)), "its header claims 320,000,000,000 bytes of shape (10000000000, 8), but 0 are there"),
        (header((2, DIM)) + b"x" * 8, "its header claims 64 bytes of shape (2, 8), but 8 are there"),
        (header((2, DIM), "|S4"), "it holds |S4 of shape (2, 8), not rows of float32, float16 or float64"),
        (header("('x' * 10**9)"), "it is no NumPy array"),
        (np.zeros(8, np.float32), "it holds float32 of shape (8,), not rows"),
        (np.asfortranarray(np.ones((2, DIM), np.float32)), "column by column"),
        (np.ones((3, DIM), np.float32), "it has 3 rows, but metadata_0.parquet has 2"),
    ],
)
def test_an_array_that_is_none_is_refused(tmp_path, array, reason):
    assert reason in refusal(numpy_folder(tmp_path, array))


@pytest.mark.parametrize("dtype", ["<f2", "<f4", ">f4", "<f8"])
def test_arrays_of_every_kind_of_float_are_read(tmp_path, dtype):
    rows = read(numpy_folder(tmp_path, np.array([[1, 0], [0.5, 0.25]], dtype)))
    assert [(row.place, row.fields, row.vector.tolist()) for row in rows] == [
        ("img_emb_0.npy, row 1", {"image_path": "a"}, [1, 0]),
        ("img_emb_0.npy, row 2", {"image_path": "b"}, [0.5, 0.25]),
    ]


def test_arrays_are_read_in_the_order_of_their_numbers(tmp_path):
    path = tmp_path / "layout"
    for name, number in (("2", 2), ("10", 10), ("0", 0)):
        part = tmp_path / name
        format_to_write(part).write(part, MODEL, *gallery(1, seed=number))
        for folder, file in (("img_emb", "img_emb_{}.npy"), ("metadata", "metadata_{}.parquet")):
            (path / folder).mkdir(parents=True, exist_ok=True)
            (part / folder / file.format(0)).rename(path / folder / file.format(name))
    assert [row.place.partition(",")[0] for row in read(path)] == ["img_emb_0.npy", "img_emb_2.npy", "img_emb_10.npy"]


def test_vectors_without_keys_are_refused_with_what_is_missing(tmp_path):
    np.save(tmp_path / "v.npy", np.ones((2, 2), np.float32))
    assert "holds vectors without keys" in refusal(tmp_path / "v.npy")
    folder = numpy_folder(tmp_path, np.ones((2, 2), np.float32))
    (folder / "metadata" / "metadata_0.parquet").unlink()
    assert "img_emb_0.npy has no metadata/metadata_0.parquet beside it" in refusal(folder)
    (folder / "img_emb" / "img_emb_0.npy").unlink()
    assert "there is no img_emb/img_emb_0.npy in it" in refusal(folder)


def test_what_is_no_vector_file_is_refused_by_its_name(tmp_path):
    assert "there is no " in refusal(tmp_path / "none.parquet")
    (tmp_path / "v.txt").touch()
    assert "has an ending of no vector file: .parquet, .jsonl, .csv, .avro" in refusal(tmp_path / "v.txt")
    assert "holds no vector files" in refusal(tmp_path)
    (tmp_path / "vectors").touch()
    assert "vectors has no ending that says what it holds: .parquet, .jsonl, .csv or .avro" in refusal(tmp_path / "vectors")


def test_an_empty_file_of_lines_has_no_rows(tmp_path):
    for name in ("v.jsonl", "v.csv"):
        (tmp_path / name).touch()
        assert read(tmp_path / name) == []
        assert open_vectors(tmp_path / name).dim == 0
