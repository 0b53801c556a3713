"""A text asked for again: the same answer, without the model."""

import pytest

from ml_api.embedding.batching import BatchingEncoder
from ml_api.embedding.caching import CachingEmbedder
from ml_api.embedding.fake import FakeEncoder
from ml_api.metrics import Metrics


@pytest.fixture
def remembering(make_stand):
    return make_stand(embedder=CachingEmbedder(BatchingEncoder(FakeEncoder(), Metrics()), Metrics(), entries=10))


@pytest.mark.parametrize("text", ["red", "red " * 200])
def test_the_answer_is_the_same_and_says_that_nothing_was_embedded(remembering, text):
    first, again = (remembering.client.post("/v1/search/text", json={"q": text}).get_json() for _ in range(2))
    assert again["hits"] == first["hits"]
    assert again["truncated"] == first["truncated"] == (len(text) > 100)
    assert first["timings_ms"]["embed"] > 0
    assert (again["timings_ms"]["queue"], again["timings_ms"]["embed"]) == (0, 0)
    assert again["timings_ms"]["prepare"] > 0


def test_another_page_of_the_same_text_needs_no_model(remembering):
    first = remembering.client.get("/v1/search/text?q=red&limit=2").get_json()
    second = remembering.client.get("/v1/search/text?q=red&limit=2&offset=2").get_json()
    assert second["timings_ms"]["embed"] == 0
    assert not {hit["id"] for hit in first["hits"]} & {hit["id"] for hit in second["hits"]}
