"""Texts that were asked for before cost no forward pass."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from ml_api.embedding.batching import BatchingEncoder
from ml_api.embedding.caching import CachingEmbedder
from ml_api.embedding.fake import FakeEncoder, FakePreprocessor
from ml_api.errors import DeadlineExceeded, ModelUnavailable
from ml_api.metrics import Metrics
from tests.prepared import prepared_image

PATIENCE_S = 30.0
PREPROCESSOR = FakePreprocessor()


class CountingEncoder(FakeEncoder):
    """Counts the inputs of each modality, and fails while told to."""

    def __init__(self):
        super().__init__()
        self.embedded = {"text": 0, "image": 0}
        self.failure = None

    def embed(self, items):
        if self.failure is not None:
            raise self.failure
        self.embedded[items[0].modality] += len(items)
        return super().embed(items)


class Bench:
    """A CachingEmbedder over a counting model."""

    def __init__(self, entries):
        self.model = CountingEncoder()
        self.metrics = Metrics()
        self.embedder = CachingEmbedder(BatchingEncoder(self.model, Metrics()), self.metrics, entries=entries)

    def embed(self, text):
        return self.embedder.embed_one(PREPROCESSOR.prepare_text(text), PATIENCE_S)

    def requests(self, result):
        return self.metrics.registry.get_sample_value("ml_api_text_cache_requests_total", {"result": result}) or 0


@contextmanager
def open_bench(entries=100):
    bench = Bench(entries)
    yield bench
    bench.embedder.close()


def test_a_text_asked_for_again_is_remembered_and_takes_no_time():
    with open_bench() as bench:
        first, again = bench.embed("a red cat"), bench.embed("a red cat")

        np.testing.assert_array_equal(again.vector, first.vector)
        assert first.embed_s > 0
        assert (again.queue_s, again.embed_s) == (0, 0)
        assert bench.model.embedded["text"] == 1
        assert (bench.requests("miss"), bench.requests("hit")) == (1, 1)


def test_what_the_tokenizer_reads_alike_is_the_same_text():
    with open_bench() as bench:
        for text in ("a red cat", "A  Red\tCAT ", "a red cat"):
            bench.embed(text)

        assert bench.model.embedded["text"] == 1


def test_other_texts_have_other_vectors():
    with open_bench() as bench:
        vectors = [bench.embed(text).vector for text in ("red", "blue", "red blue", "blue red red")]

        assert len({vector.tobytes() for vector in vectors}) == 4
        assert bench.requests("hit") == 0


def test_a_text_that_was_cut_says_so_every_time():
    with open_bench() as bench:
        fits, cut = "red " * 75, "red " * 76
        for _ in range(2):
            for text in (fits, cut):
                bench.embed(text)
            assert PREPROCESSOR.prepare_text(cut).truncated
            assert not PREPROCESSOR.prepare_text(fits).truncated
        assert bench.model.embedded["text"] == 1, "the model reads the same of both"


def test_the_text_that_was_not_asked_for_longest_is_forgotten():
    with open_bench(entries=2) as bench:
        for text in ("red", "blue", "red", "green", "red", "blue"):
            bench.embed(text)

        assert bench.model.embedded["text"] == 4, "red, blue, green, and blue once more"
        assert (bench.requests("miss"), bench.requests("hit")) == (4, 2)


def test_images_are_not_remembered():
    with open_bench() as bench:
        prepared = prepared_image(PREPROCESSOR, Image.new("RGB", (20, 20), "red"))
        for _ in range(3):
            bench.embedder.embed_one(prepared, PATIENCE_S)

        assert bench.model.embedded["image"] == 3
        assert bench.requests("miss") + bench.requests("hit") == 0


def test_a_failure_is_not_remembered():
    with open_bench() as bench:
        bench.model.failure = ModelUnavailable("the model failed")
        with pytest.raises(ModelUnavailable):
            bench.embed("red")
        bench.model.failure = None
        assert bench.embed("red").embed_s > 0


def test_what_is_remembered_cannot_be_changed_by_who_got_it():
    with open_bench() as bench:
        bench.embed("red").vector[:] = 0
        remembered = bench.embed("red").vector
        with pytest.raises(ValueError, match="read-only"):
            remembered[0] = 0
        np.testing.assert_allclose(np.linalg.norm(remembered), 1, atol=1e-5)


def test_only_a_text_that_is_not_known_needs_time():
    with open_bench() as bench:
        bench.embed("red")
        bench.embedder.embed_one(PREPROCESSOR.prepare_text("red"), timeout_s=1e-9)
        with pytest.raises(DeadlineExceeded):
            bench.embedder.embed_one(PREPROCESSOR.prepare_text("blue"), timeout_s=1e-9)


def test_many_callers_each_get_the_vector_of_their_text():
    with open_bench(entries=7) as bench:
        texts = [f"red {number}" for number in range(20)]
        expected = bench.model.embed([PREPROCESSOR.prepare_text(text) for text in texts])
        with ThreadPoolExecutor(16) as callers:
            answers = list(callers.map(lambda number: bench.embed(texts[number % 20]), range(1000)))

        for number, answer in enumerate(answers):
            np.testing.assert_allclose(answer.vector, expected[number % 20], atol=1e-6)
        assert bench.requests("miss") + bench.requests("hit") == 1000
