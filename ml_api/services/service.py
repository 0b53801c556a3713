"""Everything a request can need."""

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ml_api import __version__, logs
from ml_api.access import Access
from ml_api.access.access import REFRESH_EVERY_S
from ml_api.corpus.base import Corpus
from ml_api.corpus.thumbnails import Thumbnails
from ml_api.database import Database
from ml_api.embedding.base import Embedder, Preprocessor
from ml_api.health import Health
from ml_api.images import Decoder, ImageLimits
from ml_api.indexing.changes import Changes, Drain
from ml_api.indexing.jobs import Jobs
from ml_api.indexing.presence import Presence, Watch
from ml_api.indexing.runner import SyncRunner
from ml_api.indexing.uploads import Uploads
from ml_api.metrics import Metrics
from ml_api.metrics.sync import SyncFile
from ml_api.periodic import PeriodicTask
from ml_api.search import Searcher
from ml_api.services.encoder import load_model
from ml_api.services.indexer import ServiceIndexing, failures_of, target_of
from ml_api.services.parts import access_of, corpus_of, database_of, decoder_of, milvus_store, thumbnail_cache_of
from ml_api.settings import Settings
from ml_api.spans import Spans, wanted
from ml_api.vectors.base import VectorStore

if TYPE_CHECKING:
    from ml_api.embedding.pretrained import PretrainedModel

DRAIN_EVERY_S = 1.0
"""How often changes are looked for that another process has noted, or that are to be tried again."""

HEALTH_CHECK_EVERY_S = 15.0
"""Interval of the background health check: the usual scrape interval of Prometheus."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """Facts about the collection, for `/v1/stats`."""

    collection: str
    backend: str
    metric: str


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a request can need. Owns what it holds: `close` releases it."""

    metrics: Metrics
    decoder: Decoder
    database: Database
    corpus: Corpus
    thumbnails: Thumbnails
    preprocessor: Preprocessor
    embedder: Embedder
    store: VectorStore
    searcher: Searcher
    changes: Changes
    uploads: Uploads
    health: Health
    syncs: SyncRunner
    facts: StoreFacts
    access: Access | None = None
    """None: no API keys are asked for."""
    spans: Spans | None = None
    background: ExitStack = field(default_factory=ExitStack)
    """Background tasks, which end before the parts that they use."""

    @property
    def limits(self) -> ImageLimits:
        return self.decoder.limits

    def close(self) -> None:
        """Close all parts, even if some fail. The store is closed before parts that may hang: the model, the trace exporter."""
        with ExitStack() as last_first:
            if self.spans is not None:
                last_first.callback(self.spans.close)
            for part in (self.embedder, self.decoder, self.database, self.store, self.background):
                last_first.callback(part.close)


def build_services(settings: Settings) -> Services:
    """Load the model, open the store, warm both up. Raises ConfigError.

    Call in the process that will serve: neither torch nor Milvus Lite survives a fork.
    """
    from ml_api.embedding.batching import BulkEncoder
    from ml_api.embedding.pretrained import resolve
    from ml_api.vectors.coalescing import CoalescingStore

    corpus = corpus_of(settings)
    with ExitStack() as undo:
        background = undo.enter_context(ExitStack())
        metrics = background.enter_context(_metrics_of_service(settings))
        spans = undo.enter_context(closing(Spans(settings.environment))) if wanted(os.environ) else None
        decoder = undo.enter_context(closing(decoder_of(settings, metrics)))  # early: it imports while the model is loaded
        database = undo.enter_context(closing(database_of(settings)))
        access = _access(settings, database, background)
        pretrained = resolve(settings.model, settings.text_model)
        milvus = milvus_store(settings, metrics)
        store = undo.enter_context(closing(CoalescingStore(milvus, metrics, timeout_s=settings.request_timeout_s)))
        store.ensure(pretrained.model_id, pretrained.dim)
        # Early: who asks for a sync while the model is loaded waits for this process.
        presence = background.enter_context(
            closing(Presence(database, target_of(settings), corpus.location, model=pretrained.model_id))
        )
        preprocessor, embedder = _warm_model(settings, pretrained, metrics)
        undo.callback(embedder.close)
        tell_what_is_there(settings, corpus.location, store.count())
        health = background.enter_context(closing(Health(preprocessor, embedder, store, settings.collection, metrics)))
        background.enter_context(closing(PeriodicTask("health", health.update_metrics, HEALTH_CHECK_EVERY_S)))
        indexing = ServiceIndexing(settings, corpus, store, preprocessor, embedder, decoder, database, pretrained.model_id)
        jobs = Jobs(database, target_of(settings), corpus.location)
        syncs = background.enter_context(closing(SyncRunner(jobs, presence, Watch(database), indexing.open)))
        changes = Changes(database, corpus.location)
        drain = Drain(
            changes,
            corpus,
            store,
            preprocessor=preprocessor,
            encoder=BulkEncoder(embedder),
            decoder=decoder,
            failures=failures_of(settings, database, corpus.location, pretrained.model_id, retry=False),
            metrics=metrics,
        )
        background.enter_context(_draining(changes, drain, alone=database.backend == "sqlite"))
        services = Services(
            metrics=metrics,
            decoder=decoder,
            database=database,
            corpus=corpus,
            thumbnails=Thumbnails(thumbnail_cache_of(settings), decoder),
            preprocessor=preprocessor,
            embedder=embedder,
            store=store,
            searcher=Searcher(preprocessor, _remembering(embedder, settings, metrics), store, metrics),
            changes=changes,
            uploads=Uploads(corpus, store, changes, decoder, preprocessor),
            health=health,
            syncs=syncs,
            facts=StoreFacts(settings.collection, store.backend, settings.metric),
            access=access,
            spans=spans,
            background=background,
        )
        undo.pop_all()
    return services


def _access(settings: Settings, database: Database, background: ExitStack) -> Access | None:
    """Kept in step with the database until `background` ends. Raises ConfigError."""
    access = access_of(settings, database)
    if access is not None:
        background.enter_context(closing(access))
        background.enter_context(closing(PeriodicTask("access", access.refresh, REFRESH_EVERY_S)))
    return access


def _warm_model(settings: Settings, pretrained: "PretrainedModel", metrics: Metrics) -> tuple[Preprocessor, Embedder]:
    from ml_api.embedding.batching import BatchingEncoder, warm_up

    preprocessor, encoder = load_model(settings, pretrained, metrics)
    with ExitStack() as undo:
        undo.callback(encoder.close)
        costs = warm_up(preprocessor, encoder)
        undo.pop_all()
    return preprocessor, BatchingEncoder(encoder, metrics, costs=costs)


@contextmanager
def _draining(changes: Changes, drain: Drain, *, alone: bool) -> Iterator[None]:
    """Look at changes as they come. `alone` says that no other process uses this database."""
    if alone:
        changes.release()
    with closing(drain), closing(PeriodicTask("changes", drain.run, DRAIN_EVERY_S)) as task:
        changes.on_notice(task.now)
        try:
            yield
        finally:
            drain.stop()


def tell_what_is_there(settings: Settings, corpus: str, images: int) -> None:
    """Log where the data lie, and the next step if the index is empty."""
    _log.info("data         %s, %d images of %s", settings.data_dir, images, corpus)
    if not images:
        _log.warning("no image is indexed yet: run `python -m ml_api sync` with the same settings, beside this service")


@contextmanager
def _metrics_of_service(settings: Settings) -> Iterator[Metrics]:
    """Metrics that are not measured where they occur: the build, log records, GPUs, and syncs, which may be other processes."""
    import pynvml

    metrics = Metrics()
    metrics.process.describe_build(__version__, settings.revision)
    metrics.gpu.watch(pynvml)
    metrics.registry.register(SyncFile(settings.sync_metrics))
    with logs.counting(metrics.process.count_log):
        yield metrics


def _remembering(embedder: Embedder, settings: Settings, metrics: Metrics) -> Embedder:
    """The cache for searches; readiness uses the model itself."""
    from ml_api.embedding.caching import CachingEmbedder

    return CachingEmbedder(embedder, metrics, entries=settings.text_cache) if settings.text_cache else embedder
