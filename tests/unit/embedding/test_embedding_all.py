"""All inputs of one request: in their order, and no more of them in the queue than others' requests can bear."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest

from ml_api.embedding.base import MAX_IN_FLIGHT, Prepared
from ml_api.embedding.batching import BatchingEncoder
from ml_api.embedding.caching import CachingEmbedder
from ml_api.embedding.fake import FakeEncoder
from ml_api.errors import DeadlineExceeded, InvalidImage, ModelUnavailable, NonFiniteVector
from ml_api.metrics import Metrics
from tests.waiting import wait_until

PATIENCE_S = 30.0
TOGETHER = MAX_IN_FLIGHT // 2


class GatedEncoder(FakeEncoder):
    """Embeds when it is let, and says which inputs it had together."""

    def __init__(self):
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        self.passes = []
        self.poison = -1

    def embed(self, items):
        tokens = [int(item.features[0]) for item in items]
        self.passes.append(tokens)
        assert self.gate.wait(PATIENCE_S)
        if self.poison in tokens:
            raise NonFiniteVector
        rows = np.zeros((len(items), self.model.dim), dtype=np.float32)
        rows[:, 0] = tokens
        return rows


@contextmanager
def open_model():
    model, metrics = GatedEncoder(), Metrics()
    embedder = BatchingEncoder(model, metrics)
    try:
        yield model, embedder, lambda: metrics.registry.get_sample_value("ml_api_embed_queue_depth", {"modality": "text"}) or 0
    finally:
        model.gate.set()
        embedder.close()


def texts(number, first=0):
    return [Prepared("text", np.array([token])) for token in range(first, first + number)]


def tokens_of(embedded):
    return [one.vector[0] for one in embedded]


@pytest.mark.parametrize("number", [0, 1, TOGETHER, MAX_IN_FLIGHT, 5 * MAX_IN_FLIGHT + 3])
def test_the_order_is_that_of_the_inputs(number):
    with open_model() as (_, embedder, _depth):
        embedded = embedder.embed_all(iter(texts(number)), PATIENCE_S)
    assert tokens_of(embedded) == list(range(number))


def test_what_is_put_together_goes_through_together():
    with open_model() as (model, embedder, _depth):
        embedder.embed_all(texts(TOGETHER), PATIENCE_S)
        assert [len(one) for one in model.passes] == [TOGETHER]


@contextmanager
def held(model, embedder):
    """Something is in the model for now, so that what comes has to wait."""
    with ThreadPoolExecutor(1) as pool:
        model.gate.clear()
        holding = pool.submit(embedder.embed_one, texts(1, first=99_999)[0], PATIENCE_S)
        wait_until(lambda: model.passes)
        yield
        model.gate.set()
        holding.result(PATIENCE_S)


def test_a_long_request_has_no_more_in_the_queue_than_its_share_so_that_another_is_soon_served():
    with open_model() as (model, embedder, depth), ThreadPoolExecutor(2) as pool:
        with held(model, embedder):
            long = pool.submit(embedder.embed_all, texts(20 * MAX_IN_FLIGHT), PATIENCE_S)
            wait_until(lambda: depth() == MAX_IN_FLIGHT)
            other = pool.submit(embedder.embed_one, texts(1, first=10_000)[0], PATIENCE_S)
            wait_until(lambda: depth() == MAX_IN_FLIGHT + 1)
        other.result(PATIENCE_S)
        long.result(PATIENCE_S)
    assert any(10_000 in tokens for tokens in model.passes[:4])


def test_inputs_are_made_ready_while_the_model_has_earlier_ones():
    with open_model() as (model, embedder, _depth), ThreadPoolExecutor(1) as pool:
        model.gate.clear()
        made = []

        def lazily():
            for item in texts(3 * MAX_IN_FLIGHT):
                made.append(item)
                yield item

        embedded = pool.submit(embedder.embed_all, lazily(), PATIENCE_S)
        wait_until(lambda: len(made) == MAX_IN_FLIGHT)
        model.gate.set()
        assert len(embedded.result(PATIENCE_S)) == 3 * MAX_IN_FLIGHT


def test_in_the_place_of_one_that_fails_is_its_error():
    with open_model() as (model, embedder, _depth):
        model.poison = TOGETHER + 3
        answers = embedder.embed_all(texts(4 * MAX_IN_FLIGHT), PATIENCE_S)
    assert isinstance(answers.pop(TOGETHER + 3), NonFiniteVector)
    assert tokens_of(answers) == [token for token in range(4 * MAX_IN_FLIGHT) if token != TOGETHER + 3]


def test_what_cannot_be_made_ready_takes_the_others_back():
    def broken():
        yield from texts(TOGETHER)
        raise InvalidImage("no image")

    with open_model() as (model, embedder, depth), held(model, embedder):
        with pytest.raises(InvalidImage):
            embedder.embed_all(broken(), PATIENCE_S)
        assert depth() == 0
    assert model.passes == [[99_999]]


def test_a_request_that_takes_too_long_is_given_up_whole():
    with open_model() as (model, embedder, depth), held(model, embedder):
        with pytest.raises(DeadlineExceeded):
            embedder.embed_all(texts(3 * MAX_IN_FLIGHT), 0.05)
        assert depth() == 0


def test_a_closed_model_refuses():
    with open_model() as (_, embedder, _depth):
        embedder.close()
        with pytest.raises(ModelUnavailable):
            embedder.embed_all(texts(1), PATIENCE_S)


def test_known_texts_cost_no_pass_and_images_are_not_remembered():
    model, metrics = GatedEncoder(), Metrics()
    embedder = CachingEmbedder(BatchingEncoder(model, Metrics()), metrics, entries=10)
    try:
        embedder.embed_one(texts(1, first=1)[0], PATIENCE_S)
        image = Prepared("image", np.array([7.0], dtype=np.float32))
        answers = embedder.embed_all([*texts(3), image], PATIENCE_S)
        again = embedder.embed_all([image, *texts(3)], PATIENCE_S)
    finally:
        embedder.close()
    assert tokens_of(answers) == tokens_of([*again[1:], again[0]])
    assert sorted(token for tokens in model.passes for token in tokens) == [0, 1, 2, 7, 7]
    assert [one.batch_size for one in again[1:]] == [0, 0, 0]
    hits = metrics.registry.get_sample_value("ml_api_text_cache_requests_total", {"result": "hit"})
    assert hits == 4
