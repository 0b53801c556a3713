"""Metadata are typed: each field has one type over the whole file, and what does not fit is named with its row."""

import json

import pytest

from ml_api.corpus.metadata.fields import MAX_FIELDS, FieldType
from tests.files.metadata_files import ReadMetadata


def column(tmp_path, values, name="metadata.csv"):
    """What a column `v` of these texts is read as: its type, the values by row, and the problems."""
    rows = "".join(f'{number}.jpg,"{value}"\n' for number, value in enumerate(values))
    (tmp_path / name).write_text(f"key,v\n{rows}")
    read = ReadMetadata(tmp_path)
    return read.types["v"], [read.by_key[f"{number}.jpg"].get("v") for number in range(len(values))], list(read.problems)


@pytest.mark.parametrize(
    ("values", "kind", "read"),
    [
        (["1", "-2", "0"], FieldType.INTEGER, [1, -2, 0]),
        ([" 7 ", "9223372036854775807"], FieldType.INTEGER, [7, 2**63 - 1]),
        (["1", "2.5", "-.5", "1e-05", "1.5E3"], FieldType.NUMBER, [1.0, 2.5, -0.5, 1e-05, 1500.0]),
        (["true", "FALSE", "True"], FieldType.BOOLEAN, [True, False, True]),
        (["2026-11-27", "1999-01-01"], FieldType.DATE, ["2026-11-27", "1999-01-01"]),
        (
            ["2026-11-27T10:00:00Z", "2026-11-27 12:00:00+02:00", "2026-11-27T10:00"],
            FieldType.DATE,
            ["2026-11-27T10:00:00Z", "2026-11-27T10:00:00Z", "2026-11-27T10:00:00"],
        ),
        (["007", "012"], FieldType.TEXT, ["007", "012"]),
        (["9223372036854775808"], FieldType.TEXT, ["9223372036854775808"]),
        (["+4915112345678"], FieldType.TEXT, ["+4915112345678"]),
        (["12E4", "1_000", "1,5", "0x10", "nan", "inf", "1e999.5"], FieldType.TEXT, None),
        (["1.0e999"], FieldType.TEXT, ["1.0e999"]),
        (["2026-02-30", "27.11.2026"], FieldType.TEXT, ["2026-02-30", "27.11.2026"]),
        (["0001-01-01T00:00:00+14:00"], FieldType.TEXT, None),
        (["yes", "no"], FieldType.TEXT, ["yes", "no"]),
        (["٣"], FieldType.TEXT, ["٣"]),
        (["1", "", "  "], FieldType.INTEGER, [1, None, None]),
        (["", ""], FieldType.TEXT, [None, None]),
        (["red ", "blue"], FieldType.TEXT, ["red ", "blue"]),
    ],
)
def test_a_column_has_the_narrowest_type_of_all_its_values(tmp_path, values, kind, read):
    assert column(tmp_path, values) == (kind, values if read is None else read, [])


@pytest.mark.parametrize(
    ("values", "kind", "read"),
    [
        (["12,90", "-,5", " 7 ", "0,05"], FieldType.NUMBER, [12.9, -0.5, 7.0, 0.05]),
        (["12,90", "1.5"], FieldType.NUMBER, [12.9, 1.5]),
        (["12,90", "1.234,50", "-1.234.567,5"], FieldType.NUMBER, [12.9, 1234.5, -1234567.5]),
        (["38,5", "39", "M"], FieldType.TEXT, None),
        (["1,234,567", "1.23,50", "0.123,5", "1234.567,8", "00,5", "1, 5"], FieldType.TEXT, None),
    ],
)
def test_a_comma_is_a_decimal_one_where_semicolons_separate(tmp_path, values, kind, read):
    rows = "".join(f"{number}.jpg;{value}\n" for number, value in enumerate(values))
    (tmp_path / "metadata.csv").write_text(f"key;v\n{rows}")
    found = ReadMetadata(tmp_path)
    assert found.types["v"] == kind
    assert [found.by_key[f"{number}.jpg"]["v"] for number in range(len(values))] == (values if read is None else read)


@pytest.mark.parametrize("values", [("1,10", "1,1"), ("1.10", "1.1"), ("1234", "9"), (*map(str, range(199)), "A-7")])
@pytest.mark.parametrize("field", ["sku", " ID "])
def test_what_names_the_image_stays_text(tmp_path, field, values):
    """Products that were numbered 1.10 and 1.1 were one for `group=sku`."""
    rows = "".join(f"{number}.jpg;{value}\n" for number, value in enumerate(values))
    (tmp_path / "metadata.csv").write_text(f"key;{field}\n{rows}")
    found = ReadMetadata(tmp_path)
    assert (found.types[field], found.problems) == (FieldType.TEXT, ())
    assert [found.by_key[f"{number}.jpg"][field] for number in range(len(values))] == list(values)


def test_no_name_of_an_image_is_left_out_in_json(tmp_path):
    ids = [*range(199), "A-7"]
    (tmp_path / "metadata.jsonl").write_text("".join(f'{{"key": "{id_}.jpg", "id": {json.dumps(id_)}}}\n' for id_ in ids))
    found = ReadMetadata(tmp_path)
    assert found.types["id"] == FieldType.MIXED
    assert [found.by_key[f"{id_}.jpg"]["id"] for id_ in ids] == ids


def test_one_value_in_a_hundred_may_be_wrong_and_is_left_out_with_its_row_named(tmp_path):
    values = [str(number) for number in range(199)] + ["n/a"]
    kind, read, problems = column(tmp_path, values)
    assert (kind, read) == (FieldType.INTEGER, [*range(199), None])
    assert problems == ["metadata.csv, line 201 ('n/a'): 'v' is an integer nearly everywhere; these values are left out"]


def test_a_column_with_more_wrong_values_is_text_and_they_are_named(tmp_path):
    kind, read, problems = column(tmp_path, ["1", "2", "x", "4", *"abc", *map(str, range(20))])
    assert kind == FieldType.TEXT
    assert read[:3] == ["1", "2", "x"]
    [problem] = problems
    assert problem.endswith("not all of its values are an integer: line 4 ('x'), line 6 ('a'), line 7 ('b') and 1 more")


def test_text_with_some_numbers_in_it_is_no_problem(tmp_path):
    assert column(tmp_path, ["shoe", "42", "boot", "cap"]) == (FieldType.TEXT, ["shoe", "42", "boot", "cap"], [])


def test_whole_numbers_among_others_lose_none_of_them(tmp_path):
    kind, read, problems = column(tmp_path, ["1"] * 999 + ["2.5"])
    assert (kind, read[-1], problems) == (FieldType.NUMBER, 2.5, [])


def test_json_keeps_its_types_and_they_are_told(tmp_path):
    (tmp_path / "metadata.jsonl").write_text(
        '{"key": "a", "i": 1, "n": 1, "t": "2", "b": true, "l": [1], "o": {"x": 1}, "m": 1, "z": null}\n'
        '{"key": "b", "i": 2, "n": 1.5, "t": "x", "b": false, "l": [], "o": {}, "m": "1", "z": null}\n'
    )
    read = ReadMetadata(tmp_path)
    assert "".join(f"{name}:{kind} " for name, kind in read.types.items()) == (
        "i:integer n:number t:text b:boolean l:list o:object m:mixed z:text "
    )
    assert read.by_key["a"] == {"i": 1, "n": 1, "t": "2", "b": True, "l": [1], "o": {"x": 1}, "m": 1, "z": None}
    assert read.problems == ()


def test_a_wrong_type_in_json_is_left_out_with_its_row_named(tmp_path):
    rows = [f'{{"key": "{number}", "price": {number}}}' for number in range(150)] + ['{"key": "x", "price": "12", "name": "kept"}']
    (tmp_path / "metadata.jsonl").write_text("\n".join(rows))
    read = ReadMetadata(tmp_path)
    assert read.by_key["x"] == {"name": "kept"}
    assert read.problems == ("metadata.jsonl, line 151 ('12'): 'price' is an integer nearly everywhere; these values are left out",)


def test_a_file_of_ever_new_fields_takes_no_more_memory(tmp_path):
    (tmp_path / "metadata.jsonl").write_text("".join(f'{{"key": "{n}", "field {n}": {n}}}\n' for n in range(2 * MAX_FIELDS)))
    read = ReadMetadata(tmp_path)
    assert len(read.types) == MAX_FIELDS
    assert read.by_key["1999"] == {"field 1999": 1999}
    assert not read.problems
