import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_api.errors import InvalidInput
from ml_api.records import is_image_id
from ml_api.vectors.base import MAX_WINDOW, SearchOptions
from ml_api.vectors.validation import check_records, distinct_ids
from tests.contracts.samples import DIM, record, unit_vectors


@given(st.text(max_size=40).filter(lambda text: not is_image_id(text)))
def test_nothing_but_32_hex_digits_passes_as_an_id(text):
    with pytest.raises(ValueError, match="32 hex digits"):
        distinct_ids([text])


@pytest.mark.parametrize(("limit", "offset"), [(MAX_WINDOW, 1), (MAX_WINDOW + 1, 0), (0, 0), (1, -1)])
def test_a_window_that_cannot_be_is_refused(limit, offset):
    with pytest.raises(ValueError, match="limit"):
        SearchOptions(limit, offset)


@given(st.lists(st.text("0123456789abcdef", min_size=32, max_size=32), max_size=8))
def test_ids_lose_their_repetitions_and_keep_their_order(ids):
    assert distinct_ids(ids + ids) == list(dict.fromkeys(ids))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), json_values, max_size=4))
def test_json_metadata_pass_unchanged(metadata):
    assert check_records([record("a", metadata=metadata)], unit_vectors(1), DIM) == [metadata]


@pytest.mark.parametrize(
    "metadata", [{"n": float("inf")}, {"n": 2**63}, {"n": -(2**63) - 1}, {"s": {1, 2}}, {"b": b"bytes"}, {"u": "\ud800"}, ["list"]]
)
def test_metadata_that_json_cannot_carry_name_the_image(metadata):
    with pytest.raises(InvalidInput, match="'dogs/rex'"):
        check_records([record("dogs/rex", metadata=metadata)], unit_vectors(1), DIM)


def test_metadata_that_contain_themselves_are_refused():
    metadata = {}
    metadata["self"] = metadata
    with pytest.raises(InvalidInput):
        check_records([record("a", metadata=metadata)], unit_vectors(1), DIM)


def test_a_version_that_no_store_keeps_is_a_value_error():
    with pytest.raises(ValueError, match="version"):
        check_records([record("a", version="v" * 513)], unit_vectors(1), DIM)


def test_vectors_of_wrong_shape_are_a_value_error():
    with pytest.raises(ValueError, match=r"\(n, 8\)"):
        check_records([record("a")], np.zeros((1, 3), dtype=np.float32), DIM)
