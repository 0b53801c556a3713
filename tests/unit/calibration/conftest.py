"""A corpus that says what it shows: images near the words of their captions."""

import numpy as np
import pytest

from ml_api.embedding.fake import FakeEncoder, FakePreprocessor
from ml_api.records import ImageRecord, image_id
from ml_api.vectors.memory import MemoryStore

NOUNS = [
    f"{first}{second}" for first in ("bar", "dol", "fim", "gan", "hep", "kor", "lum") for second in ("go", "nix", "rit", "tap")
]
COLOURS = ("red", "green", "blue", "pink", "black", "white")


def words_of(number):
    return COLOURS[number % len(COLOURS)], NOUNS[number * 5 % len(NOUNS)]


def described(number, **metadata):
    key = f"IMG_{number:04d}.jpg"
    return ImageRecord(image_id(key), key, "1", "0" * 64, width=8, height=8, indexed_at=0.0, metadata=metadata)


@pytest.fixture
def model():
    return FakePreprocessor(), FakeEncoder()


def filled(model, *, captions=True, count=240):
    preprocessor, encoder = model
    store = MemoryStore()
    store.ensure(encoder.model.model_id, encoder.model.dim)
    texts = [" ".join(words_of(number)) for number in range(count)]
    vectors = encoder.embed([preprocessor.prepare_text(text) for text in texts])
    vectors = vectors + np.random.default_rng(1).normal(0, 0.05, vectors.shape)
    store.upsert(
        [described(number, **({"caption": f"a {text}"} if captions else {})) for number, text in enumerate(texts)],
        (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32),
    )
    return store


@pytest.fixture
def store(model):
    return filled(model)
