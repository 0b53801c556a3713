"""The services of the application over stand-ins: a model that knows colours, a store in memory, a folder that is indexed."""

from ml_api.corpus.folder import FolderCorpus
from ml_api.corpus.thumbnails import ThumbnailCache, Thumbnails
from ml_api.database import Database
from ml_api.embedding.batching import BatchingEncoder
from ml_api.embedding.fake import FakeEncoder, FakePreprocessor
from ml_api.health import Health
from ml_api.images import InlineDecoder
from ml_api.indexing.sync import Indexer
from ml_api.metrics import Metrics
from ml_api.search import Searcher
from ml_api.services import Services, StoreFacts
from ml_api.vectors.memory import MemoryStore


def stand_in_services(root, thumbnail_dir, limits, encoder=None, **replaced):
    """Over all images below `root`; keyword arguments replace parts. Close them."""
    metrics = replaced.setdefault("metrics", Metrics())
    encoder, corpus = encoder or FakeEncoder(), FolderCorpus(root)
    store = replaced.setdefault("store", MemoryStore())
    store.ensure(encoder.model.model_id, encoder.model.dim)
    decoder = replaced.setdefault("decoder", InlineDecoder(limits))
    preprocessor = replaced.setdefault("preprocessor", FakePreprocessor())
    indexer = Indexer(corpus, store, lambda: (preprocessor, encoder), decoder, metrics)
    indexer.run(indexer.plan())
    parts = {
        "database": Database.open(str(thumbnail_dir.with_name("ml_api.sqlite3"))),
        "corpus": corpus,
        "thumbnails": Thumbnails(ThumbnailCache(thumbnail_dir, 2**20), decoder),
        "embedder": BatchingEncoder(encoder, metrics),
        "facts": StoreFacts("images", "memory", "COSINE"),
    } | replaced
    return Services(
        **parts,
        searcher=Searcher(preprocessor, parts["embedder"], store, metrics),
        health=Health(preprocessor, parts["embedder"], store, "images", metrics),
    )
