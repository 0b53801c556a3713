"""The messages of rows that we make are those that pymilvus would make."""

import json

import numpy as np
import pytest
from pymilvus.client.prepare import Prepare

from ml_api.vectors.filters import field_of
from ml_api.vectors.milvus.messages import upsert_message
from ml_api.vectors.milvus.schema import collection_schema, rows_of
from tests.contracts.samples import record, unit_vectors

METADATA = [{}, {"title": 'Grüße "東京" 🎉\n', "price": 2**63 - 1}, {"price": -0.5, "nested": [{"a": [1, 1e300, None, True]}]}]


@pytest.mark.parametrize("dim", [8, 512])
@pytest.mark.parametrize("columns", [(), ("price", "title")])
@pytest.mark.parametrize("count", [1, 3])
def test_a_message_says_what_pymilvuss_own_says(dim, columns, count):
    fields = [field_of(name, "ML_API_FILTER_FIELDS") for name in columns]
    records = [
        record(f"shelf/ü {number}.jpg", width=number, height=2**40, indexed_at=number / 3, metadata=METADATA[number])
        for number in range(count)
    ]
    rows = rows_of(records, [one.metadata for one in records], unit_vectors(count, dim=dim), fields)
    schema = [field.to_dict() for field in collection_schema(dim, fields).fields]
    theirs = Prepare.row_upsert_param("images", rows, "", schema)
    ours = upsert_message("images", rows, dim, fields)
    assert [field.field_name for field in ours.fields_data] == [field.field_name for field in theirs.fields_data]
    for one, other in zip(ours.fields_data, theirs.fields_data, strict=True):
        if one.field_name != "metadata":
            assert one == other
    assert _documents(ours) == _documents(theirs)
    assert ours.num_rows == theirs.num_rows == count


def _documents(message):
    """JSON has spaces or not."""
    [field] = [field for field in message.fields_data if field.field_name == "metadata"]
    return [json.loads(cell) for cell in field.scalars.json_data.data]


def test_vectors_keep_each_bit():
    rows = rows_of([record("one")], [{}], np.array([[1e-45, -0.0, 3.4028235e38, 1 / 3, 0, 1, -1, 1e-38]], dtype=np.float32))
    [vector] = [field for field in upsert_message("images", rows, 8, ()).fields_data if field.field_name == "vector"]
    assert np.array(vector.vectors.float_vector.data, dtype=np.float32).tobytes() == rows[0]["vector"].tobytes()
