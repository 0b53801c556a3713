"""A corpus that says what it shows: images near the words of their captions, for the stand-in of the model."""

import numpy as np

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


def add_images(store, numbers, *, captions=True):
    """Images with these numbers; a caption names the first word, `colour`, and the second."""
    preprocessor, encoder = FakePreprocessor(), FakeEncoder()
    texts = [" ".join(words_of(number)) for number in numbers]
    vectors = encoder.embed([preprocessor.prepare_text(text) for text in texts])
    vectors = vectors + np.random.default_rng(1).normal(0, 0.05, vectors.shape)
    said = [{"caption": f"a {text}", "colour": text.split()[0]} if captions else {} for text in texts]
    records = [described(number, **metadata) for number, metadata in zip(numbers, said, strict=True)]
    store.upsert(records, (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32))


def filled(count=240, *, captions=True, kind=MemoryStore):
    model, store = FakeEncoder().model, kind()
    store.ensure(model.model_id, model.dim)
    add_images(store, range(count), captions=captions)
    return store
