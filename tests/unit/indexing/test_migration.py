"""A collection with other columns is filled from the one in use: the vectors are copied, and what changed since is synced."""

from contextlib import contextmanager

import pytest
from PIL import Image

from ml_api.corpus.folder import FolderCorpus
from ml_api.embedding.fake import FakeEncoder, FakePreprocessor
from ml_api.images import ImageLimits, InlineDecoder
from ml_api.indexing.migration import Migration
from ml_api.indexing.sync import Indexer
from ml_api.metrics import Metrics
from ml_api.records import image_id
from ml_api.vectors.base import Generation
from ml_api.vectors.filters import Field
from ml_api.vectors.memory import MemoryStore


class CountingEncoder(FakeEncoder):
    embedded = 0

    def embed(self, items):
        self.embedded += len(items)
        return super().embed(items)


@contextmanager
def unfollowed(_total):
    yield lambda _report: None


@pytest.fixture
def migration(tmp_path):
    """From a collection that is in use, of two images, to one with a column."""
    for name in ("a.png", "b.png"):
        Image.new("RGB", (40, 30), (len(name), 30, 30)).save(tmp_path / name)
    encoder, decoder, model = CountingEncoder(), InlineDecoder(ImageLimits(100_000, 1_000_000, 20)), FakePreprocessor()
    stores = [MemoryStore(), MemoryStore()]
    indexers = []
    for store in stores:
        store.ensure(encoder.model.model_id, encoder.model.dim)
        indexers.append(Indexer(FolderCorpus(tmp_path), store, lambda: (model, encoder), decoder, Metrics()))
    indexers[0].run(indexers[0].plan())
    current, wanted = (
        Generation(name, encoder.model.model_id, encoder.model.dim, fields=fields)
        for name, fields in (("images_1", ()), ("images_2", (Field(("price",)),)))
    )
    return Migration(None, *stores, current, wanted, indexers[1]), encoder, tmp_path


def test_vectors_of_the_same_model_are_copied_and_nothing_is_embedded(migration):
    made, encoder, _ = migration
    before = encoder.embedded
    assert made.embed(unfollowed, lambda: False)
    assert encoder.embedded == before
    assert made.new.count() == 2
    assert (
        made.summary == f"{encoder.model.model_id} stays the model; its vectors are copied to a collection with columns for price"
    )


def test_what_changed_since_is_synced(migration):
    made, encoder, folder = migration
    before = encoder.embedded
    Image.new("RGB", (40, 30), (1, 2, 3)).save(folder / "c.png")
    (folder / "a.png").unlink()
    assert made.embed(unfollowed, lambda: False)
    assert encoder.embedded == before + 1
    assert {entry.key for entry in made.new.entries()} == {"b.png", "c.png"}


def test_it_stops_when_told(migration):
    made, _, _ = migration
    assert not made.embed(unfollowed, lambda: True)
    assert image_id("a.png") not in made.new.get([image_id("a.png")])
