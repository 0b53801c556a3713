"""A folder, a store in memory, and a sync between them."""

import numpy as np
from PIL import Image

from ml_api.corpus.folder import FolderCorpus
from ml_api.embedding.fake import FakePreprocessor
from ml_api.errors import CorpusUnavailable, NonFiniteVector, StoreUnavailable
from ml_api.indexing.failures import StoredFailures
from ml_api.indexing.guard import Consent
from ml_api.indexing.preview import preview
from ml_api.indexing.sync import Indexer
from ml_api.metrics import Metrics
from ml_api.records import image_id
from ml_api.vectors.memory import MemoryStore
from ml_api.vocabulary import SyncOutcome
from tests.unit.indexing.stand_ins import DECODER, RecordingEncoder


class Named(list):
    """A Report in memory."""

    def write(self, files):
        self.extend(files)


class World:
    """A folder, a store, and a sync between them."""

    corpus_class = FolderCorpus
    catalogue = None
    decoder = DECODER
    made_with = "these limits"

    def __init__(self, root, database):
        self.root = root
        self.database = database
        self.encoder = RecordingEncoder()
        self.metrics = Metrics()
        self.files = Named()
        self.use(MemoryStore())

    def use(self, store):
        self.store = store
        store.ensure(self.encoder.model.model_id, self.encoder.model.dim)

    def draw(self, key, colour=(200, 30, 30), size=(40, 30)):
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, colour).save(path)
        return path

    def model(self):
        return FakePreprocessor(), self.encoder

    def corpus(self):
        return self.corpus_class(self.root, catalogue=self.catalogue)

    def indexer(self, load_model=None, *, retry=False, rehash=False):
        corpus = self.corpus()
        failures = StoredFailures(self.database, corpus.location, self.made_with, retry=retry)
        return Indexer(corpus, self.store, load_model or self.model, self.decoder, self.metrics, failures=failures, rehash=rehash)

    def sync(self, *, retry=False, rehash=False, **consent):
        """Its report; the files that it names are in `files`."""
        indexer, self.files = self.indexer(retry=retry, rehash=rehash), Named()
        return indexer.run(indexer.plan(Consent(**consent)), files=self.files)

    def failures(self):
        """Of the last sync, by key."""
        return {file.key: file.reason for file in self.files if file.outcome is SyncOutcome.FAILED}

    def preview(self, **consent):
        corpus = self.corpus()
        return preview(corpus, self.store, StoredFailures(self.database, corpus.location, self.made_with), Consent(**consent))

    def outcomes(self, **consent):
        return {outcome.value: number for outcome, number in self.sync(**consent).outcomes.items() if number}

    def metadata(self, key):
        return self.store.get([image_id(key)])[image_id(key)].metadata

    def stored(self):
        return {entry.key: entry.digest for entry in self.store.entries()}


class Dazzled(RecordingEncoder):
    """Makes nothing finite of an image that is wholly white."""

    def embed(self, items):
        if any(np.all(item.features > 254) for item in items):
            raise NonFiniteVector
        return super().embed(items)


class UnreadableCorpus(FolderCorpus):
    """A folder on a disk that fails."""

    def read(self, key, max_bytes):
        raise CorpusUnavailable("cannot be read: Input/output error")


class DyingStore(MemoryStore):
    """Stops answering after some upserts, as a store does that loses power."""

    upserts_left = 1

    def upsert(self, records, vectors):
        if self.upserts_left == 0:
            raise StoreUnavailable("the store is gone")
        self.upserts_left -= 1
        super().upsert(records, vectors)
