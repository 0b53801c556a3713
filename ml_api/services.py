"""The wiring: the only place that names concrete classes and unpacks Settings.

Adapters are imported inside the functions that need them, so that importing the application costs neither torch nor pymilvus.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from ml_api.corpus.folder import FolderCorpus
from ml_api.corpus.thumbnails import Thumbnails
from ml_api.deadline import Deadline
from ml_api.embedding.base import Embedder, Encoder
from ml_api.errors import ConfigError, MlApiError
from ml_api.images import ImageLimits
from ml_api.indexing.sync import Indexer
from ml_api.metrics import Metrics
from ml_api.search import Searcher
from ml_api.settings import Settings, environment_name
from ml_api.vectors.base import VectorStore

if TYPE_CHECKING:
    from ml_api.embedding.pretrained import PretrainedModel

READINESS_TIMEOUT_S = 5.0

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
    facts: StoreFacts

    def readiness(self) -> dict[str, str]:
        """`ok` for each part that a search needs, or why it does not work. Runs a real embedding and a real search."""
        return {"model": _state(self._probe_model), "store": _state(self._probe_store)}

    def _probe_model(self) -> None:
        self.embedder.embed_one(self.embedder.prepare_text("ready?"), timeout_s=READINESS_TIMEOUT_S)

    def _probe_store(self) -> None:
        self.store.ping()
        anything = np.eye(1, self.embedder.model.dim, dtype=np.float32)
        self.store.search(anything, limit=1, deadline=Deadline.within(READINESS_TIMEOUT_S))

    def close(self) -> None:
        self.embedder.close()
        self.store.close()


def _state(probe: Callable[[], None]) -> str:
    try:
        probe()
    except MlApiError as exc:
        return exc.detail
    return "ok"


def build_services(settings: Settings) -> Services:
    """Load the model, open the store, warm both up. Raises ConfigError.

    Call in the process that will serve: neither torch nor Milvus Lite survives a fork.
    """
    from ml_api.embedding.batching import BatchingEncoder, warm_up
    from ml_api.embedding.pretrained import resolve
    from ml_api.vectors.coalescing import CoalescingStore

    corpus = FolderCorpus(_corpus_of(settings))
    metrics = Metrics()
    limits = _limits(settings)
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
    return Services(
        metrics=metrics,
        limits=limits,
        corpus=corpus,
        thumbnails=Thumbnails(settings.thumbnail_dir, limits),
        embedder=embedder,
        store=store,
        searcher=Searcher(_remembering(embedder, settings, metrics), store, metrics),
        facts=StoreFacts(settings.collection, store.backend, settings.metric),
    )


@contextmanager
def open_indexer(settings: Settings) -> Iterator[Indexer]:
    """What a sync needs. The model is loaded only if there is something to embed. Raises ConfigError."""
    from ml_api.embedding.batching import FittingEncoder
    from ml_api.embedding.pretrained import resolve

    corpus = FolderCorpus(_corpus_of(settings))
    metrics = Metrics()
    pretrained = resolve(settings.model)
    store = _milvus_store(settings, metrics)
    store.ensure(pretrained.model_id, pretrained.dim)
    try:
        yield Indexer(
            corpus, store, lambda: FittingEncoder(_load_encoder(settings, pretrained, metrics)), _limits(settings), metrics
        )
    finally:
        store.close()


def _corpus_of(settings: Settings) -> Path:
    if settings.corpus is None:
        raise ConfigError(f"{environment_name('corpus')} is not set: name the folder of images")
    return settings.corpus


def _limits(settings: Settings) -> ImageLimits:
    return ImageLimits(settings.max_upload_bytes, settings.max_image_pixels, settings.max_image_aspect)


def _load_encoder(settings: Settings, pretrained: "PretrainedModel", metrics: Metrics) -> Encoder:
    from ml_api.embedding.clip import ClipEncoder

    started = perf_counter()
    encoder = ClipEncoder(pretrained, device=settings.device, precision=settings.precision)
    metrics.embedding.describe_model(encoder.model, perf_counter() - started)
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
