"""The encoder over HTTP: as OpenAI's own client asks, and with bounds on what one request may hold."""

import base64
import json
import threading
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import openai
import pytest
from werkzeug.serving import make_server

from ml_api import tracing
from ml_api.api.schemas.embeddings import MAX_CHARS, MAX_IMAGES, MAX_TEXT_CHARS, MAX_TEXTS
from ml_api.embedding.base import MAX_IN_FLIGHT
from ml_api.embedding.fake import FakeEncoder
from ml_api.images import InlineDecoder
from tests.api import stand as api
from tests.api.stand import LIMITS, picture


def data_uri(colour, kind="PNG"):
    return f"data:image/{kind.lower()};base64,{base64.b64encode(picture(colour, kind=kind)).decode()}"


def embedded(client, **body):
    response = client.post("/v1/embeddings", json=body)
    assert response.status_code == 200, response.get_data(as_text=True)
    return response.get_json()


def assert_problem(response, status, code):
    """The problem, in which the same stands as OpenAI says it."""
    body = response.get_json()
    error = body.pop("error")
    assert error == {"message": body["detail"], "type": body["title"], "param": None, "code": code}
    response.set_data(json.dumps(body))
    return api.assert_problem(response, status, code)


def vectors(answer):
    assert [one["index"] for one in answer["data"]] == list(range(len(answer["data"])))
    return np.array([one["embedding"] for one in answer["data"]], dtype=np.float32)


@pytest.fixture(scope="module")
def client(shared_stand):
    return shared_stand.client


@pytest.fixture(scope="module")
def official(shared_stand):
    with client_of(shared_stand) as client:
        yield client


@contextmanager
def client_of(stand):
    """OpenAI's client, over HTTP."""
    server = make_server("127.0.0.1", 0, stand.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with openai.OpenAI(base_url=f"http://127.0.0.1:{server.port}/v1", api_key="none asked for", max_retries=0) as client:
        yield client
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("encoding", [{}, {"encoding_format": "float"}, {"encoding_format": "base64"}])
def test_the_official_client_embeds_texts(official, shared_stand, encoding):
    model = shared_stand.services.engine.embedder.model
    answer = official.embeddings.create(model=model.name, input=["red", "blue"], **encoding)
    assert [one.index for one in answer.data] == [0, 1]
    assert (answer.model, answer.object, answer.usage.prompt_tokens) == (model.name, "list", 2)
    both = [one.embedding for one in answer.data]
    if encoding.get("encoding_format") == "base64":  # asked for, it is handed on as it comes
        both = [np.frombuffer(base64.b64decode(one), dtype="<f4") for one in both]
    np.testing.assert_allclose(both, expected_texts(shared_stand, "red", "blue"), rtol=1e-6)


def test_the_official_client_learns_the_model_s_name(official, shared_stand):
    assert [model.id for model in official.models.list()] == [shared_stand.services.engine.embedder.model.name]


@pytest.mark.parametrize("name", ["demo model (small CLIP, v1/2)", "clip-ViT-B-32", "a/b%2F?c=é"])
def test_the_official_client_looks_up_the_model_by_its_id(make_stand, name):
    with client_of(make_stand(encoder=FakeEncoder(name=name))) as official:
        assert official.models.retrieve(name).id == name
        with pytest.raises(openai.NotFoundError, match="this service runs"):
            official.models.retrieve("gpt-4")


def test_the_official_client_embeds_images(official, shared_stand):
    inputs = [data_uri((220, 30, 30)), data_uri((40, 60, 220), "JPEG")]
    answer = official.embeddings.create(model="fake", input=inputs, extra_body={"modality": "image"})
    red, blue = (np.array(one.embedding) for one in answer.data)
    texts = expected_texts(shared_stand, "red", "blue")
    assert red @ texts[0] > red @ texts[1]
    assert blue @ texts[1] > blue @ texts[0]


def test_the_official_client_is_told_what_was_wrong(official):
    with pytest.raises(openai.BadRequestError, match="input\\[1\\]: The text is empty") as raised:
        official.embeddings.create(model="fake", input=["red", " "])
    assert raised.value.code == "invalid-query"
    with pytest.raises(openai.NotFoundError, match="this service runs 'fake'"):
        official.embeddings.create(model="text-embedding-3-small", input="red")


def expected_texts(stand, *texts):
    services = stand.services
    return [services.engine.embedder.embed_one(services.engine.preprocessor.prepare_text(text), 30).vector for text in texts]


def test_one_text_is_a_list_of_one_and_model_and_modality_may_be_left_out(client):
    np.testing.assert_array_equal(vectors(embedded(client, input="red")), vectors(embedded(client, input=["red"])))


def test_an_embedded_image_is_the_one_that_is_searched_with(stand):
    """The same bytes, decoded and preprocessed alike."""
    data = (stand.root / "red.png").read_bytes()
    [sent] = vectors(embedded(stand.client, input=base64.b64encode(data).decode(), modality="image"))
    stored = stand.services.engine.store.vectors([stand.id("red.png")])[stand.id("red.png")]
    np.testing.assert_allclose(sent, stored, atol=1e-6)


def test_more_inputs_than_wait_at_once_come_back_in_their_order(client):
    texts = [f"word{number} red" for number in range(3 * MAX_IN_FLIGHT + 1)]
    together = vectors(embedded(client, input=texts))
    one_by_one = np.concatenate([vectors(embedded(client, input=text)) for text in texts])
    np.testing.assert_array_equal(together, one_by_one)


def test_images_come_back_in_their_order(client):
    colours = [(index * 7 % 256, 255 - index * 5 % 256, 80) for index in range(MAX_IMAGES)]
    together = vectors(embedded(client, input=[data_uri(colour) for colour in colours], modality="image"))
    one_by_one = np.concatenate([vectors(embedded(client, input=data_uri(colour), modality="image")) for colour in colours])
    np.testing.assert_array_equal(together, one_by_one)


class TracedDecoder(InlineDecoder):
    """Notes on whose behalf it decodes, as its log lines would say."""

    def __init__(self):
        super().__init__(LIMITS)
        self.seen = []

    def decode(self, *what, **how):
        self.seen.append(tracing.request_id())
        return super().decode(*what, **how)


def test_images_are_decoded_on_behalf_of_the_request(make_stand):
    decoder = TracedDecoder()
    client = make_stand(decoder=decoder).client
    body = {"input": [data_uri((9, 9, 9)), data_uri((8, 8, 8))], "modality": "image"}
    assert client.post("/v1/embeddings", json=body, headers={"X-Request-ID": "mine"}).status_code == 200
    assert decoder.seen[-2:] == ["mine", "mine"]


def test_base64_holds_the_same_numbers(client):
    [numbers] = vectors(embedded(client, input="red and blue"))
    [encoded] = embedded(client, input="red and blue", encoding_format="base64")["data"]
    np.testing.assert_array_equal(np.frombuffer(base64.b64decode(encoded["embedding"]), dtype="<f4"), numbers)


def test_a_text_that_was_cut_is_told_so(client):
    answer = embedded(client, input=["red", "word " * 200])
    assert [one["truncated"] for one in answer["data"]] == [False, True]
    assert answer["usage"] == {"prompt_tokens": 76, "total_tokens": 76}


def test_a_data_uri_is_a_text_like_any_other_unless_it_is_said_to_be_an_image(client):
    assert embedded(client, input="data:image/png;base64,AAAA")["usage"]["prompt_tokens"] == 5


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "input: is missing"),
        ({"input": []}, "input: "),
        ({"input": ""}, "input[0]: "),
        ({"input": ["red", "  "]}, "input[1]: "),
        ({"input": 3}, "input: "),
        ({"input": None}, "input: "),
        ({"input": ["red", None]}, "input[1]: must be a text"),
        ({"input": {"text": "red"}}, "input: "),
        ({"input": [1, 2, 3]}, "token ids are those of another model"),
        ({"input": [[1, 2], [3]]}, "token ids are those of another model"),
        ({"input": "x" * (MAX_TEXT_CHARS + 1)}, "input[0]: must have at most 8,192 characters (got 8,193)"),
        ({"input": ["red"] * (MAX_TEXTS + 1)}, "input: "),
        ({"input": ["AAAA"] * (MAX_IMAGES + 1), "modality": "image"}, "input: must have at most 32 images (got 33)"),
        ({"input": "red", "modality": "audio"}, "modality: "),
        ({"input": "red", "encoding_format": "int8"}, "encoding_format: "),
        ({"input": "red", "dimensions": 8}, "dimensions: must be 59, as many as vectors of 'fake' have, or left out (got 8)"),
        ({"input": "red", "dimensions": "8"}, "dimensions: "),
        ({"input": "red", "truncate": True}, "truncate: is not a parameter"),
    ],
)
def test_what_is_wrong_is_named(client, body, says):
    assert says in assert_problem(client.post("/v1/embeddings", json=body), 400, "invalid-query")["detail"]


def test_all_texts_together_are_bounded(make_stand):
    client = make_stand(limits=replace(LIMITS, max_bytes=2 * MAX_CHARS)).client
    response = client.post("/v1/embeddings", json={"input": ["x" * MAX_TEXT_CHARS] * (MAX_CHARS // MAX_TEXT_CHARS + 1)})
    detail = assert_problem(response, 400, "invalid-query")["detail"]
    assert detail == "input: all texts together must have at most 1,000,000 characters (got 1,007,616)"


def test_a_lone_surrogate_is_no_text(client):
    answer = client.post("/v1/embeddings", data=b'{"input": ["red", "\\ud83d"]}', content_type="application/json")
    assert "input[1]: " in assert_problem(answer, 400, "invalid-query")["detail"]


@pytest.mark.parametrize(
    ("given", "status", "code"),
    [
        ("https://example.com/x.png", 400, "invalid-base64"),
        ("%%%", 400, "invalid-base64"),
        (base64.b64encode(b"just text").decode(), 422, "image-format"),
        ("", 422, "image-empty"),
    ],
)
def test_an_image_that_is_none_is_named(client, given, status, code):
    body = {"input": [data_uri((1, 2, 3)), given], "modality": "image"}
    detail = assert_problem(client.post("/v1/embeddings", json=body), status, code)["detail"]
    assert detail.startswith("input[1]: ")
    assert "image:" not in detail, "a field that there is not here"


def test_an_image_over_the_limit_is_named(client):
    body = {"input": [base64.b64encode(b"x" * 210_000).decode()], "modality": "image"}
    assert "input[0]" in assert_problem(client.post("/v1/embeddings", json=body), 413, "too-large")["detail"]


def test_another_model_is_not_taken_for_this_one(client):
    answer = client.post("/v1/embeddings", json={"input": "red", "model": "clip-ViT-L-14"})
    assert "name that" in assert_problem(answer, 404, "model-not-found")["detail"]


def test_as_many_texts_as_may_be_sent_are_embedded_whatever_their_punctuation(client):
    texts = ['a, "b" [c] {d}'] * MAX_TEXTS
    assert len(embedded(client, input=texts, encoding_format="base64")["data"]) == MAX_TEXTS


def test_the_time_of_its_stages_is_measured(stand):
    embedded(stand.client, input=["red", "blue"])
    embedded(stand.client, input=data_uri((1, 2, 3)), modality="image")
    sample = stand.services.metrics.registry.get_sample_value
    for stage, times in {"fetch": 2, "prepare": 2, "decode": 1, "embed": 2, "serialize": 2}.items():
        assert sample("ml_api_stage_duration_seconds_count", {"operation": "embed", "stage": stage}) == times
