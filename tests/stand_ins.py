"""The services of the application over stand-ins: a model that knows colours, a store in memory, a folder that is indexed."""

from contextlib import ExitStack, contextmanager

from ml_api.corpus.folder import FolderCorpus
from ml_api.corpus.thumbnails import ThumbnailCache, Thumbnails
from ml_api.embedding.batching import BatchingEncoder, BulkEncoder
from ml_api.embedding.fake import FakeEncoder, FakePreprocessor
from ml_api.embedding.pretrained import PretrainedModel
from ml_api.feedback import Judgements, RecentSearches, Retention
from ml_api.images import InlineDecoder
from ml_api.indexing.changes import Changes
from ml_api.indexing.jobs import Jobs
from ml_api.indexing.jobs.heartbeat import Heartbeat, Owners
from ml_api.indexing.jobs.runner import SyncRunner
from ml_api.indexing.sync import Indexer
from ml_api.indexing.upload_locks import UploadLocks
from ml_api.metrics import Metrics
from ml_api.services import Services, StoreFacts
from ml_api.services.engine import Shared, WarmModel, build_engine
from ml_api.services.target import target_of
from ml_api.settings import load_settings
from ml_api.texts import TextIndexingStore
from ml_api.vectors.memory import MemoryStore
from tests.databases import new_database


def stand_in_services(root, thumbnail_dir, limits, encoder=None, *, words=False, **replaced):
    """Over all images below `root`; keyword arguments replace parts. With `words`, these are found, too. Close them."""
    data = {"ML_API_DATA_DIR": str(thumbnail_dir.parent), "ML_API_TEXT_CACHE": "0"}
    settings = load_settings({"ML_API_CORPUS": str(root), **data})
    metrics, encoder, corpus = replaced.pop("metrics", None) or Metrics(), encoder or FakeEncoder(), FolderCorpus(root)
    database = replaced.pop("database", None) or new_database(thumbnail_dir.with_name("ml_api.sqlite3"))
    decoder, preprocessor = replaced.pop("decoder", None) or InlineDecoder(limits), replaced.pop("preprocessor", FakePreprocessor())
    changes = replaced.pop("changes", None) or Changes(database, corpus.location)
    shared = Shared(
        settings, metrics, replaced.pop("corpus", corpus), decoder, database, changes, UploadLocks(settings.waiting_threads)
    )
    store = replaced.pop("store", None) or MemoryStore()
    store = TextIndexingStore(store, shared.texts) if words else store
    store.ensure(encoder.model.model_id, encoder.model.dim)
    indexer = Indexer(corpus, store, lambda: (preprocessor, encoder), decoder, metrics)
    indexer.run(indexer.plan())
    embedder = replaced.pop("embedder", None) or BatchingEncoder(encoder, metrics)
    pretrained = PretrainedModel(encoder.model.name, root, encoder.model.revision, encoder.model.dim)
    engine = build_engine(shared, WarmModel(pretrained, preprocessor, embedder, load_s=0.0), store, store)

    @contextmanager
    def open_indexer(_options):
        yield Indexer(corpus, store, lambda: (preprocessor, BulkEncoder(embedder)), decoder, Metrics())

    searches = RecentSearches(database, target_of(settings), Retention(1000, 7), metrics.feedback)
    heartbeat = Heartbeat(database, target_of(settings), corpus.location, model=encoder.model.model_id)
    syncs = SyncRunner(
        Jobs(database, target_of(settings), corpus.location, metrics.jobs), heartbeat, Owners(database), open_indexer
    )
    background = ExitStack()
    background.callback(syncs.close)
    changes.on_notice(engine.consumer.run)
    background.callback(engine.consumer.close)
    return Services(
        metrics=metrics,
        decoder=decoder,
        database=database,
        corpus=shared.corpus,
        thumbnails=Thumbnails(ThumbnailCache(thumbnail_dir, 2**20), decoder),
        engine=engine,
        changes=changes,
        judgements=Judgements(searches, metrics.feedback),
        syncs=syncs,
        facts=StoreFacts("images", "memory", "COSINE"),
        background=background,
        **replaced,
    )
