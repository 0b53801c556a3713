"""`GET /v1/metadata`: what filters can ask for."""

import numpy as np
import pytest

from ml_api.search.fields import MAX_DISTINCT, MAX_FIELDS, summarise
from tests.contracts.samples import record


@pytest.fixture
def fields(stand):
    """What the route tells of images with these metadata, by name."""

    def told(*metadata):
        store = stand.services.engine.store
        store.delete([entry.id for entry in store.entries()])
        vectors = np.tile(np.eye(1, stand.services.engine.embedder.model.dim, dtype=np.float32), (len(metadata), 1))
        store.upsert([record(str(number), metadata=one) for number, one in enumerate(metadata)], vectors)
        answer = stand.client.get("/v1/metadata").get_json()
        assert (answer["over"], answer["whole"]) == (len(metadata), True)
        return {field["name"]: field for field in answer["fields"]}

    return told


def test_fields_are_told_with_types_ranges_and_frequent_values(fields):
    found = fields({"color": "red", "price": 5}, {"color": "red", "price": 2.5}, {"color": "blue", "price": None}, {"color": 1}, {})
    assert found["color"] == {
        "name": "color",
        "images": 4,
        "types": {"text": 3, "number": 1},
        "least": 1,
        "most": 1,
        "values": [{"value": "red", "images": 2}, {"value": 1, "images": 1}, {"value": "blue", "images": 1}],
        "distinct": 3,
    }
    assert (found["price"]["images"], found["price"]["least"], found["price"]["most"]) == (2, 2.5, 5)
    assert list(found) == ["color", "price"]


def test_fields_have_the_names_that_filters_use(stand, fields):
    found = fields({"maker": {"city": "Köln"}, "dc.title": "x", "width": 5, "tags": ["red", "blue", "red"], "sold": True})
    assert set(found) == {"maker.city", "/dc.title", "/width", "tags", "sold"}
    assert found["tags"]["types"] == {"list": 1}
    assert found["tags"]["values"] == [{"value": "red", "images": 2}, {"value": "blue", "images": 1}]
    assert found["sold"]["values"] == [{"value": True, "images": 1}]
    for name in found:
        response = stand.client.get("/v1/images", query_string={"filter": f'{{"{name}": {{"exists": true}}}}'})
        assert len(response.get_json()["images"]) == 1


def test_memory_is_bounded():
    many = summarise([record("a", metadata={f"f{number}": number for number in range(1000)})], whole=True)
    assert len(many.fields) == MAX_FIELDS
    [field] = summarise([record("a", metadata={"x": list(range(5000))})], whole=True).fields.values()
    assert len(field.values) == MAX_DISTINCT
    assert not field.complete
    [field] = summarise([record("a", metadata={"x": "word " * 100})], whole=False).fields.values()
    assert field.frequent() == []


def test_no_metadata_have_no_fields(fields):
    assert fields({}) == {}
