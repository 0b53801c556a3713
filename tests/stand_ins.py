"""The services of the application over stand-ins: a model that knows colours, a store in memory, a folder that is indexed."""

from contextlib import ExitStack, contextmanager

from ml_api.calibration import StoredCalibrations
from ml_api.corpus.folder import FolderCorpus
from ml_api.corpus.thumbnails import ThumbnailCache, Thumbnails
from ml_api.embedding.batching import BatchingEncoder, BulkEncoder
from ml_api.embedding.fake import FakeEncoder, FakePreprocessor
from ml_api.feedback import Judgements, RecentSearches, Retention
from ml_api.health import Health
from ml_api.images import InlineDecoder
from ml_api.indexing.changes import Changes, Drain
from ml_api.indexing.failures import Failures
from ml_api.indexing.jobs import Jobs
from ml_api.indexing.jobs.presence import Presence, Watch
from ml_api.indexing.jobs.runner import SyncRunner
from ml_api.indexing.sync import Indexer
from ml_api.indexing.uploads import Uploads
from ml_api.metrics import Metrics
from ml_api.search import Searcher
from ml_api.search.hybrid import Hybrid
from ml_api.services import Services, StoreFacts
from ml_api.texts import TextIndex, TextKeepingStore
from ml_api.vectors.memory import MemoryStore
from tests.databases import new_database


def stand_in_services(root, thumbnail_dir, limits, encoder=None, *, words=False, **replaced):
    """Over all images below `root`; keyword arguments replace parts. With `words`, these are found, too. Close them."""
    metrics = replaced.setdefault("metrics", Metrics())
    encoder, corpus = encoder or FakeEncoder(), FolderCorpus(root)
    database = replaced["database"] = replaced.get("database") or new_database(thumbnail_dir.with_name("ml_api.sqlite3"))
    texts = TextIndex(database, "stand-in") if words else None
    store = replaced.pop("store", None) or MemoryStore()
    store = replaced["store"] = TextKeepingStore(store, texts) if texts else store
    store.ensure(encoder.model.model_id, encoder.model.dim)
    decoder = replaced.setdefault("decoder", InlineDecoder(limits))
    preprocessor = replaced.setdefault("preprocessor", FakePreprocessor())
    indexer = Indexer(corpus, store, lambda: (preprocessor, encoder), decoder, metrics)
    indexer.run(indexer.plan())
    relevance = replaced.pop("relevance", None)
    hybrid = Hybrid(texts, store, "COSINE", metrics)
    parts = {
        "corpus": corpus,
        "thumbnails": Thumbnails(ThumbnailCache(thumbnail_dir, 2**20), decoder),
        "embedder": BatchingEncoder(encoder, metrics),
        "facts": StoreFacts("images", "memory", "COSINE"),
    } | replaced

    @contextmanager
    def open_indexer(_options):
        yield Indexer(corpus, store, lambda: (preprocessor, BulkEncoder(parts["embedder"])), decoder, Metrics())

    searches = RecentSearches(database, "stand-in", Retention(1000, 7), metrics.feedback)
    presence = Presence(database, "stand-in", corpus.location, model=encoder.model.model_id)
    syncs = SyncRunner(Jobs(database, "stand-in", corpus.location, metrics.jobs), presence, Watch(database), open_indexer)
    parts.setdefault("background", ExitStack()).callback(syncs.close)
    changes = parts.setdefault("changes", Changes(parts["database"], corpus.location))
    drain = Drain(
        changes, corpus, store, preprocessor=preprocessor, encoder=encoder, decoder=decoder, metrics=metrics, failures=Failures()
    )
    changes.on_notice(drain.run)
    parts["background"].callback(drain.close)
    return Services(
        **parts,
        syncs=syncs,
        judgements=Judgements(searches, metrics.feedback),
        calibrations=StoredCalibrations(database, "stand-in", encoder.model.model_id),
        uploads=Uploads(parts["corpus"], store, changes, decoder, preprocessor),
        searcher=Searcher(preprocessor, parts["embedder"], store, metrics, relevance, hybrid=hybrid),
        health=Health(preprocessor, parts["embedder"], store, "images", metrics),
    )
