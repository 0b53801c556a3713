"""Searches in other scripts, by a text encoder beside the demo model: the real process, over vectors that were there before it."""

from urllib.parse import quote

import pytest

from ml_api.embedding.pretrained import resolve
from tests.e2e.server_process import MODEL, Server
from tests.models.text_encoders import TEXTS, build_distilbert


@pytest.fixture(scope="module")
def text_model(tmp_path_factory):
    """Of random weights: which pictures it finds says nothing, that it finds some is what is asked."""
    return build_distilbert(tmp_path_factory.mktemp("text") / "multilingual", dim=resolve(str(MODEL)).dim)


def hits(server, text):
    return [hit["key"] for hit in server.json(f"/v1/search/text?limit=5&q={quote(text)}")["hits"]]


def test_a_text_encoder_is_put_beside_a_model_and_taken_away_without_a_new_sync(demo_corpus, tmp_path, text_model):
    plain = Server(tmp_path, demo_corpus)
    plain.index()
    with plain:
        before = {text: hits(plain, text) for text in TEXTS[:1]}
        assert plain.json("/v1/model")["text_model"] is None
    with Server(tmp_path, demo_corpus, text_model=text_model) as server:
        model = server.json("/v1/model")
        assert model["text_model"].startswith("multilingual@")
        assert server.json("/v1/stats")["images"] == 120
        found = [hits(server, text) for text in TEXTS]
        assert [len(keys) for keys in found] == [5] * len(TEXTS)
        assert len({tuple(keys) for keys in found}) > 1
        answer = server.json(f"/v1/search/text?q={quote(TEXTS[-1])}")
        assert answer["truncated"]
        identifier = server.json(f"/v1/search/text?q={quote(TEXTS[3])}")["hits"][0]["id"]
        assert server.json(f"/v1/images/{identifier}/similar")["hits"]
        assert server.get("/readyz")[0] == 200
    with Server(tmp_path, demo_corpus) as again:
        assert {text: hits(again, text) for text in TEXTS[:1]} == before
