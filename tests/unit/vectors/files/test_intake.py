"""Rows of files become batches for a store: what cannot be stored is named, the rest is taken."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ml_api.errors import ConfigError, InvalidInput
from ml_api.records import image_id
from ml_api.vectors.base import MAX_KEY_BYTES
from ml_api.vectors.files.base import BrokenRow, Row
from ml_api.vectors.files.columns import columns_of
from ml_api.vectors.files.intake import ImportReport, Intake, SeenIds, require_model
from ml_api.vectors.files.opening import VectorFile, format_to_write, open_vectors
from ml_api.vectors.files.transfer import IMPORTED_AT_ONCE, import_
from ml_api.vectors.memory import MemoryStore
from tests.contracts.samples import DIM, MODEL, gallery, record, unit_vectors


def rows_of(records, vectors, model=MODEL):
    return [
        Row(f"row {number}", columns_of(one, model), vector)
        for number, (one, vector) in enumerate(zip(records, vectors, strict=True), 1)
    ]


def take(rows, size=1000):
    """The records and vectors that come through, what is said of the others, and the report."""
    told = []
    intake = Intake(MODEL, DIM, lambda place, reason: told.append(f"{place}: {reason}"))
    batches = list(intake.batches(rows, size))
    records = [one for some, _ in batches for one in some]
    vectors = np.concatenate([np.empty((0, DIM), np.float32), *(vectors for _, vectors in batches)])
    return records, vectors, told, intake.report


def test_sound_rows_come_through_as_they_are():
    records, vectors = gallery(50)
    taken, rows, told, report = take(rows_of(records, vectors), size=7)
    assert (taken, told) == (records, [])
    np.testing.assert_array_equal(rows, vectors)
    assert (report.rows, report.taken, report.normalised, report.left_out) == (50, 50, 0, 0)
    assert report.summary() == "50 imported"


def test_every_row_that_cannot_be_stored_is_named_with_its_reason():
    records, vectors = gallery(12)
    vectors[1, 3] = np.nan
    vectors[2, 0] = -np.inf
    vectors[3] = 0
    rows = rows_of(records, vectors)
    rows[4] = BrokenRow("row 5", "not JSON")
    rows[5] = replace(rows[5], vector=vectors[5, :-1])
    rows[6] = replace(rows[6], fields=columns_of(records[6], "another@2"))
    rows[7] = replace(rows[7], fields=columns_of(replace(records[7], key="k" * (MAX_KEY_BYTES + 1)), MODEL))
    rows[8] = replace(rows[8], fields=columns_of(records[0], MODEL))
    rows[9] = replace(rows[9], fields=columns_of(records[9], MODEL) | {"width": "wide"})
    rows[10] = replace(rows[10], fields=columns_of(records[10], MODEL) | {"metadata": "[1]"})
    taken, _, told, report = take(rows)
    assert [one.key for one in taken] == [records[0].key, records[11].key]
    assert sorted(told, key=lambda line: int(line.split()[1][:-1])) == [
        "row 2: its vector is not finite (NaN or infinite)",
        "row 3: its vector is not finite (NaN or infinite)",
        "row 4: its vector is zero and has no direction",
        "row 5: not JSON",
        f"row 6: its vector has {DIM - 1} numbers, not {DIM}",
        f"row 7: its vector is of the model another@2, not of {MODEL}",
        f"row 8: the key '{'k' * 80}'… has {MAX_KEY_BYTES + 1} bytes; at most {MAX_KEY_BYTES} are allowed",
        f"row 9: the key {records[0].key!r} is in the file before; the first row with it is taken",
        "row 10: width is 'wide', not a whole number",
        "row 11: metadata is '[1]', not a JSON object",
    ]
    assert (report.rows, report.taken, report.left_out) == (12, 2, 10)
    assert report.summary() == "2 imported, 10 left out"


def test_a_key_is_found_again_in_a_later_batch():
    records, vectors = gallery(30)
    taken, _, told, _ = take(rows_of([*records, *records[:3]], np.concatenate([vectors, vectors[:3]])), size=4)
    assert taken == records
    assert [line.partition(":")[0] for line in told] == ["row 31", "row 32", "row 33"]


def test_a_row_that_is_left_out_does_not_make_the_next_with_its_key_a_second_one():
    [one], vectors = [record("twice")], unit_vectors(2)
    vectors[0] = np.nan
    taken, rows, told, _ = take(rows_of([one, one], vectors))
    assert taken == [one]
    np.testing.assert_array_equal(rows, vectors[1:])
    assert told == ["row 1: its vector is not finite (NaN or infinite)"]


def test_vectors_that_are_not_normalised_are_and_that_is_said():
    records, vectors = gallery(3)
    longer = vectors.copy()
    longer[1] *= 24
    longer[2] *= np.float32(1 + 5e-5)  # what rounding to float16 does
    _, rows, _, report = take(rows_of(records, longer))
    np.testing.assert_allclose(rows[1], vectors[1], rtol=1e-6)
    np.testing.assert_array_equal(rows[2], longer[2])
    assert report.summary() == "3 imported, 1 vectors were not normalised, and now are"


def test_vectors_whose_length_float32_does_not_hold_are_normalised_all_the_same():
    records, vectors = gallery(1)
    _, rows, _, _ = take(rows_of(records, vectors * np.float32(3e38)))
    np.testing.assert_allclose(rows, vectors, rtol=1e-6)


def foreign(fields, vector=None):
    records, _, told, _ = take([Row("row 1", fields, unit_vectors(1)[0] if vector is None else vector)])
    return records[0] if records else told


def test_a_row_of_vertex_ai_is_an_image_with_its_restricts_as_metadata():
    restricts = [{"namespace": "colour", "allow": ["red", "blue"]}, {"namespace": "shape", "deny": ["round"]}]
    numeric = [{"namespace": "price", "value_float": 3.5}]
    found = foreign({"id": "sku-1", "restricts": restricts, "numeric_restricts": numeric, "crowding_tag": "x"})
    assert (found.id, found.key, found.version, found.digest) == (image_id("sku-1"), "sku-1", "", "")
    assert found.metadata == {"colour": ["red", "blue"], "price": 3.5}


def test_a_row_of_clip_retrieval_is_an_image_with_its_columns_as_metadata():
    fields = {"image_path": "/data/a.jpg", "caption": "a dog", "width": 640, "height": 480, "similarity": float("nan"), "url": None}
    found = foreign(fields)
    assert (found.key, found.width, found.height, found.metadata) == ("/data/a.jpg", 640, 480, {"caption": "a dog"})


def test_numbers_are_keys():
    assert foreign({"id": 4711}).key == "4711"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"caption": "a dog"}, "it has no key: no text in a column key, id or image_path"),
        ({"id": None}, "it has no key: no text in a column key, id or image_path"),
        ({"id": True}, "it has no key: no text in a column key, id or image_path"),
        ({"id": "\ud800"}, "the key '\\ud800' is not valid Unicode text"),
        ({"id": "1", "restricts": [1]}, "restricts are [1], not a list of objects with a namespace"),
        (
            {"id": "1", "big": 2**70},
            (
                "the metadata of '1' are not plain JSON: only text, finite numbers, whole ones within 64 "
                "bits, true, false, null, lists and objects"
            ),
        ),
    ],
)
def test_a_foreign_row_that_is_no_image_is_named(fields, reason):
    assert foreign(fields) == [f"row 1: {reason}"]


def test_the_model_of_a_file_must_be_the_configured_one():
    file = VectorFile("v.parquet", 10, "clip@1", DIM)
    require_model(file, "clip@1", DIM)
    with pytest.raises(ConfigError, match="of the model clip@1, but the configured model is other@2"):
        require_model(file, "other@2", DIM)
    with pytest.raises(ConfigError, match="says that its vectors are of the model clip@1, not of other@2"):
        require_model(file, "clip@1", DIM, "other@2")


def test_of_a_file_that_names_no_model_the_user_says_it():
    file = VectorFile("v.json", 10, None, DIM)
    with pytest.raises(ConfigError, match=f"does not say which model .* {DIM} dimensions.*--model-id 'clip@1'"):
        require_model(file, "clip@1", DIM)
    require_model(file, "clip@1", DIM, "clip@1")
    with pytest.raises(ConfigError, match="of the model other@2, but the configured model is clip@1"):
        require_model(file, "clip@1", DIM, "other@2")


def test_a_file_of_other_dimensions_is_refused_whatever_is_said():
    with pytest.raises(ConfigError, match="holds vectors with 768 dimensions, but the model clip@1 makes 8"):
        require_model(VectorFile("v.json", 10, None, 768), "clip@1", DIM, "clip@1")


def test_an_import_repeated_ends_in_the_same_state(tmp_path):
    path = tmp_path / "v.parquet"
    records, vectors = gallery(IMPORTED_AT_ONCE + 50)
    format_to_write(path).write(path, MODEL, records, vectors)
    store = MemoryStore()
    store.ensure(MODEL, DIM)
    first = import_(open_vectors(path), store, Intake(MODEL, DIM, print), lambda _rows: None, lambda: True)
    assert first.taken == store.count() == IMPORTED_AT_ONCE
    for _ in range(2):
        assert import_(open_vectors(path), store, Intake(MODEL, DIM, print), lambda _rows: None, lambda: False).taken == len(
            records
        )
        assert store.get([one.id for one in records]) == {one.id: one for one in records}
        assert store.count() == len(records)


def test_a_file_that_ends_too_early_says_what_was_taken_until_then(tmp_path):
    path = tmp_path / "v.jsonl"
    format_to_write(path).write(path, MODEL, *gallery(3))
    path.write_bytes(path.read_bytes()[:-20])
    store = MemoryStore()
    store.ensure(MODEL, DIM)
    intake = Intake(MODEL, DIM, lambda _place, _reason: None)
    with pytest.raises(InvalidInput, match=r"ends in the middle of line 3 .*; until then 2 imported"):
        import_(open_vectors(path), store, intake, lambda _rows: None, lambda: False)
    assert store.count() == 2


def test_a_file_without_rows_says_so():
    assert ImportReport().summary() == "no rows, nothing imported"


def test_ids_are_known_again_whatever_their_number():
    ids = [image_id(str(number)) for number in range(5000)]
    seen = SeenIds()
    again = [flag for start in range(0, 5000, 37) for flag in seen.add(ids[start : start + 37])]
    assert not any(again)
    assert all(seen.add(ids))
    assert seen.add([image_id("new"), ids[0], image_id("new")]).tolist() == [False, True, True]
    assert seen.add([]).tolist() == []


def test_metadata_of_a_row_of_ours_may_be_text_or_object():
    one = record("a", metadata={"n": 1})
    for metadata in ({"n": 1}, json.dumps({"n": 1})):
        assert foreign(columns_of(one, MODEL) | {"metadata": metadata}) == one
