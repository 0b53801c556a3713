"""What engines share, over a folder without images, and engines as the service puts them together, over stand-ins."""

from contextlib import ExitStack, closing

import pytest

from ml_api.corpus.folder import FolderCorpus
from ml_api.embedding.batching import BatchingEncoder
from ml_api.embedding.fake import FakeEncoder, FakePreprocessor
from ml_api.embedding.pretrained import PretrainedModel
from ml_api.images import ImageLimits, InlineDecoder
from ml_api.indexing.changes import Changes
from ml_api.indexing.upload_locks import UploadLocks
from ml_api.metrics import Metrics
from ml_api.services.engine import Shared, WarmModel, build_engine
from ml_api.settings import load_settings
from ml_api.vectors.memory import MemoryStore
from tests.databases import new_database


@pytest.fixture
def make_shared(tmp_path):
    """Keyword arguments are settings."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    with ExitStack() as opened:

        def make(changes=Changes, **more):
            settings = load_settings({"ML_API_CORPUS": str(folder), "ML_API_DATA_DIR": str(tmp_path / "data"), **more})
            corpus, decoder = FolderCorpus(folder), InlineDecoder(ImageLimits(10**6, 10**6, 20))
            opened.enter_context(closing(decoder))
            database = opened.enter_context(closing(new_database(tmp_path / "state.sqlite3")))
            return Shared(
                settings,
                Metrics(),
                corpus,
                decoder,
                database,
                changes(database, corpus.location),
                UploadLocks(settings.waiting_threads),
            )

        yield make


@pytest.fixture
def shared(make_shared):
    return make_shared()


@pytest.fixture
def make_engine(tmp_path):
    with ExitStack() as opened:

        def make(shared, name="fake", store=None):
            encoder = FakeEncoder(name=name)
            if store is None:
                store = MemoryStore()
                store.ensure(encoder.model.model_id, encoder.model.dim)
            pretrained = PretrainedModel(name, tmp_path, "1", encoder.model.dim)
            embedder = BatchingEncoder(encoder, shared.metrics)
            engine = build_engine(shared, WarmModel(pretrained, FakePreprocessor(), embedder, load_s=0.0), store, store)
            return opened.enter_context(closing(engine))

        yield make
