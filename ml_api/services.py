"""The wiring: the only place that names concrete classes and unpacks Settings.

Adapters are imported inside the functions that need them, so that importing the application costs neither torch nor pymilvus.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from ml_api import __version__, logs
from ml_api.corpus.folder import FolderCorpus
from ml_api.corpus.thumbnails import Thumbnails
from ml_api.embedding.base import Embedder, Encoder
from ml_api.errors import ConfigError
from ml_api.health import Health
from ml_api.images import ImageLimits
from ml_api.indexing.sync import Indexer
from ml_api.metrics import Metrics
from ml_api.metrics.sync import SyncFile, SyncMetrics
from ml_api.polling import Poll
from ml_api.search import Searcher
from ml_api.settings import Settings, environment_name
from ml_api.spans import Spans, wanted
from ml_api.vectors.base import VectorStore

if TYPE_CHECKING:
    from ml_api.embedding.pretrained import PretrainedModel

LOOK_EVERY_S = 15.0
"""How often readiness and the collection are looked at for the metrics: as often as Prometheus usually asks."""
SAVE_EVERY_S = 5.0
"""How often a sync that is under way renews its metrics."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """How the vectors are kept, for people to read."""

    collection: str
    backend: str
    metric: str


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a request can need. Owns what it holds: `close` releases it, in the order of dependence."""

    metrics: Metrics
    limits: ImageLimits
    corpus: FolderCorpus
    thumbnails: Thumbnails
    embedder: Embedder
    store: VectorStore
    searcher: Searcher
    health: Health
    facts: StoreFacts
    spans: Spans | None = None
    background: ExitStack = field(default_factory=ExitStack)
    """What runs beside requests, and ends before the parts it looks at."""

    def close(self) -> None:
        self.background.close()
        self.embedder.close()
        self.store.close()


def build_services(settings: Settings) -> Services:
    """Load the model, open the store, warm both up. Raises ConfigError.

    Call in the process that will serve: neither torch nor Milvus Lite survives a fork.
    """
    from ml_api.embedding.batching import BatchingEncoder, warm_up
    from ml_api.embedding.pretrained import resolve
    from ml_api.vectors.coalescing import CoalescingStore

    corpus = FolderCorpus(_corpus_of(settings))
    limits = _limits(settings)
    with ExitStack() as background:
        metrics = background.enter_context(_metrics_of_service(settings))
        spans = background.enter_context(closing(Spans(os.environ, settings.environment))) if wanted(os.environ) else None
        pretrained = resolve(settings.model)
        milvus = _milvus_store(settings, metrics)
        store = CoalescingStore(milvus, metrics, queue_limit=settings.queue_limit, timeout_s=settings.request_timeout_s)
        store.ensure(pretrained.model_id, pretrained.dim)
        try:
            encoder = _load_encoder(settings, pretrained, metrics)
            costs = warm_up(encoder)
        except BaseException:
            store.close()
            raise
        embedder = BatchingEncoder(encoder, metrics, queue_limit=settings.queue_limit, costs=costs)
        health = Health(embedder, store, settings.collection, metrics)
        background.enter_context(closing(Poll("health", health.look, LOOK_EVERY_S)))
        return Services(
            metrics=metrics,
            limits=limits,
            corpus=corpus,
            thumbnails=Thumbnails(settings.thumbnail_dir, limits),
            embedder=embedder,
            store=store,
            searcher=Searcher(_remembering(embedder, settings, metrics), store, metrics),
            health=health,
            facts=StoreFacts(settings.collection, store.backend, settings.metric),
            spans=spans,
            background=background.pop_all(),
        )


@contextmanager
def open_indexer(settings: Settings) -> Iterator[Indexer]:
    """What a sync needs. The model is loaded only if there is something to embed. Raises ConfigError."""
    from ml_api.embedding.batching import FittingEncoder
    from ml_api.embedding.pretrained import resolve

    corpus = FolderCorpus(_corpus_of(settings))
    metrics = Metrics()
    pretrained = resolve(settings.model)
    with closing(_milvus_store(settings, metrics)) as store:
        store.ensure(pretrained.model_id, pretrained.dim)
        with _passing_on(
            metrics.sync, settings.sync_metrics
        ):  # once the store is ours: another sync may be writing there until then
            yield Indexer(
                corpus, store, lambda: FittingEncoder(_load_encoder(settings, pretrained, metrics)), _limits(settings), metrics
            )


@contextmanager
def _metrics_of_service(settings: Settings) -> Iterator[Metrics]:
    """With all that is not measured where it happens: the build, the log, GPUs, and syncs, which are other processes."""
    import pynvml

    metrics = Metrics()
    metrics.process.describe_build(__version__, settings.revision)
    metrics.gpu.watch(pynvml)
    metrics.registry.register(SyncFile(settings.sync_metrics))
    with logs.counting(metrics.process.count_log):
        yield metrics


@contextmanager
def _passing_on(metrics: SyncMetrics, path: Path) -> Iterator[None]:
    """Leave the metrics of a sync where the service finds them. Raises ConfigError if they cannot be left there."""
    metrics.restore(path)
    try:
        metrics.save(path)
    except OSError as exc:
        raise ConfigError(f"{environment_name('sync_metrics')}: cannot write {path}: {exc.strerror}") from exc
    with closing(Poll("sync-metrics", lambda: metrics.save(path), SAVE_EVERY_S)) as poll:
        try:
            yield
        finally:
            poll.close()
            try:
                metrics.save(path)
            except OSError as exc:
                _log.warning("the metrics of this sync cannot be written to %s: %s", path, exc.strerror)


def _corpus_of(settings: Settings) -> Path:
    if settings.corpus is None:
        raise ConfigError(f"{environment_name('corpus')} is not set: name the folder of images")
    return settings.corpus


def _limits(settings: Settings) -> ImageLimits:
    return ImageLimits(settings.max_upload_bytes, settings.max_image_pixels, settings.max_image_aspect)


def _load_encoder(settings: Settings, pretrained: "PretrainedModel", metrics: Metrics) -> Encoder:
    from ml_api.embedding.clip import ClipEncoder, memory

    started = perf_counter()
    encoder = ClipEncoder(pretrained, device=settings.device, precision=settings.precision)
    metrics.embedding.describe_model(encoder.model, perf_counter() - started)
    if encoder.model.device.startswith("cuda"):
        metrics.gpu.watch_torch(partial(memory, encoder.model.device))
    _log.info(
        "%s loaded on %s in %s, %.1f s", encoder.model.name, encoder.model.device, encoder.model.precision, perf_counter() - started
    )
    return encoder


def _remembering(embedder: Embedder, settings: Settings, metrics: Metrics) -> Embedder:
    """For searches only: readiness asks the model itself."""
    from ml_api.embedding.caching import CachingEmbedder

    return CachingEmbedder(embedder, metrics, entries=settings.text_cache) if settings.text_cache else embedder


def _milvus_store(settings: Settings, metrics: Metrics) -> VectorStore:
    from ml_api.vectors.milvus import Connection, MilvusStore, VectorIndex

    connection = Connection(
        uri=settings.milvus_uri,
        token=settings.milvus_token.get_secret_value(),
        database=settings.milvus_database,
        tls_ca=settings.milvus_tls_ca,
        tls_server_name=settings.milvus_tls_server_name,
    )
    index = VectorIndex(
        metric=settings.metric,
        kind=settings.index,
        hnsw_m=settings.hnsw_m,
        hnsw_ef_construction=settings.hnsw_ef_construction,
        hnsw_ef=settings.hnsw_ef,
        ivf_nlist=settings.ivf_nlist,
        ivf_nprobe=settings.ivf_nprobe,
    )
    return MilvusStore(connection, settings.collection, index, metrics, settings.store_timeout_s)
