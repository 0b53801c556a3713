"""The engine: all parts that belong to one model. A request keeps the engine that it began with, even after a switch of models."""

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from ml_api.calibration import CalibrationUpkeep, IndexedCorpus
from ml_api.calibration.upkeep import LOOK_EVERY_S
from ml_api.cores import usable
from ml_api.corpus.base import Corpus
from ml_api.database import Database
from ml_api.embedding.base import Embedder, Preprocessor
from ml_api.embedding.batching import BatchingEncoder, BulkEncoder, warm_up
from ml_api.feedback import Verdicts
from ml_api.health import Health
from ml_api.images import Decoder
from ml_api.indexing.changes import Changes, Consumer
from ml_api.indexing.upload_locks import UploadLocks
from ml_api.indexing.uploads import Uploads
from ml_api.metrics import Metrics
from ml_api.periodic import PeriodicTask
from ml_api.search import Calibrations, OnlineRecall, Searcher
from ml_api.search.hybrid import Hybrid
from ml_api.search.online_recall import LOOK_EVERY_S as REPEAT_EVERY_S
from ml_api.services.calibration import stored_calibrations_of
from ml_api.services.encoder import LoadedModel, load_model
from ml_api.services.indexer import Indexing, failures_of
from ml_api.services.target import target_of
from ml_api.settings import Settings
from ml_api.texts import TextIndex, TextIndexingStore, TextUpkeep
from ml_api.texts.upkeep import CHECK_EVERY_S as TEXTS_EVERY_S
from ml_api.vectors.base import VectorStore
from ml_api.vectors.coalescing import CoalescingStore

if TYPE_CHECKING:
    from ml_api.embedding.pretrained import PretrainedModel
    from ml_api.vectors.milvus import MilvusStore

CONSUME_EVERY_S = 1.0
"""Interval at which the queue of changes is read: other processes may have noted some, and failed ones become due again."""

HEALTH_CHECK_EVERY_S = 15.0
"""Interval of the background health check: the usual scrape interval of Prometheus."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shared:
    """The parts that all engines share."""

    settings: Settings
    metrics: Metrics
    corpus: Corpus
    decoder: Decoder
    database: Database
    changes: Changes
    upload_locks: UploadLocks

    @property
    def texts(self) -> TextIndex:
        return TextIndex(self.database, target_of(self.settings))


class ActiveRequests:
    """The number of requests that use an engine."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._number = 0

    @property
    def number(self) -> int:
        return self._number

    def begin(self) -> None:
        with self._lock:
            self._number += 1

    def end(self) -> None:
        with self._lock:
            self._number -= 1


@dataclass(frozen=True, slots=True)
class WarmModel:
    """A loaded and warmed-up model behind its batching queue. Its owner closes the embedder."""

    pretrained: "PretrainedModel"
    preprocessor: Preprocessor
    embedder: BatchingEncoder
    load_s: float

    def measured_by(self, metrics: Metrics) -> None:
        """Have the metrics describe this model from now on."""
        from ml_api.embedding.clip import memory

        info = self.embedder.model
        metrics.embedding.describe_model(info, self.load_s)
        metrics.gpu.watch_torch(partial(memory, info.device) if info.device.startswith("cuda") else None)


@dataclass(frozen=True, slots=True)
class Engine:
    preprocessor: Preprocessor
    embedder: BatchingEncoder
    milvus: "MilvusStore"
    store: VectorStore
    """Over `milvus`, for requests."""
    searcher: Searcher
    uploads: Uploads
    health: Health
    consumer: Consumer
    calibration: CalibrationUpkeep
    indexing: Indexing
    requests: ActiveRequests
    recall: OnlineRecall
    hybrid: Hybrid
    texts: TextUpkeep
    work: ExitStack = field(default_factory=ExitStack)
    """The background tasks."""

    def start(self, changes: Changes) -> None:
        """Start the background tasks."""
        self.work.enter_context(closing(self.health))
        self.work.enter_context(closing(PeriodicTask("health", self.health.update_metrics, HEALTH_CHECK_EVERY_S)))
        self.work.enter_context(_consuming(changes, self.consumer))
        self.work.enter_context(closing(PeriodicTask("texts", self.texts.check, TEXTS_EVERY_S)))
        self.work.enter_context(closing(PeriodicTask("calibration", self.calibration.look, LOOK_EVERY_S)))
        if self.recall.is_exact:
            _log.info("recall       not measured: every search compares all images")
        else:
            self.work.enter_context(closing(PeriodicTask("recall", self.recall.look, REPEAT_EVERY_S)))

    def close(self) -> None:
        """End the background tasks, then close the store and the model. Safe to call twice."""
        with closing(self.embedder):
            self.close_store()

    def close_store(self) -> None:
        """End the background tasks, then close the store; the model stays. Safe to call twice."""
        with ExitStack() as last_first:
            for part in (self.store, self.hybrid, self.work):
                last_first.callback(part.close)


def open_coalescing_store(shared: Shared, milvus: "MilvusStore", pretrained: "PretrainedModel") -> CoalescingStore:
    """The store that requests search in, open for this model. Close it. Raises ConfigError."""
    kept = TextIndexingStore(milvus, shared.texts)
    store = CoalescingStore(kept, shared.metrics, timeout_s=shared.settings.request_timeout_s)
    store.ensure(pretrained.model_id, pretrained.dim)
    return store


def warm_model(
    settings: Settings, pretrained: "PretrainedModel", metrics: Metrics, beside: BatchingEncoder | None = None
) -> WarmModel:
    """Load the model and warm it up. `beside` is the embedder in use, whose searches take precedence over the bulk work of this
    one. Raises ConfigError and ModelUnavailable."""
    return warm_up_encoder(load_model(settings, pretrained), pretrained, metrics, beside)


def warm_up_encoder(
    loaded: LoadedModel, pretrained: "PretrainedModel", metrics: Metrics, beside: BatchingEncoder | None = None
) -> WarmModel:
    """Warm up a loaded model, which is closed if that fails."""
    preprocessor, encoder, load_s = loaded
    with ExitStack() as undo:
        undo.callback(encoder.close)
        costs = warm_up(preprocessor, encoder)
        batching = partial(BatchingEncoder, encoder, metrics, costs=costs)
        embedder = batching() if beside is None else batching(elsewhere=beside.came_at)
        undo.pop_all()
    return WarmModel(pretrained, preprocessor, embedder, load_s)


def build_engine(shared: Shared, model: WarmModel, milvus: "MilvusStore", store: VectorStore) -> Engine:
    """Its background tasks begin with `start`."""
    settings, metrics, corpus, decoder = shared.settings, shared.metrics, shared.corpus, shared.decoder
    preprocessor, embedder, model_id = model.preprocessor, model.embedder, model.pretrained.model_id
    bulk = BulkEncoder(embedder)
    consumer = Consumer(
        shared.changes,
        corpus,
        store,
        preprocessor=preprocessor,
        encoder=bulk,
        decoder=decoder,
        failures=failures_of(settings, shared.database, corpus.location, model_id, retry=False),
        metrics=metrics,
    )
    calibrations, requests = Calibrations(settings.metric), ActiveRequests()
    recall = OnlineRecall(store, metrics.search, settings.recall_sample, busy=lambda: requests.number > usable())
    hybrid = Hybrid(shared.texts, store, settings.metric, metrics)
    kept = stored_calibrations_of(settings, shared.database, model_id, embedder.model)
    verdicts = Verdicts(shared.database, target_of(settings))
    cached = _with_text_cache(embedder, settings, metrics)
    indexed = IndexedCorpus(store, settings.metric, preprocessor, bulk)
    return Engine(
        preprocessor=preprocessor,
        embedder=embedder,
        milvus=milvus,
        store=store,
        searcher=Searcher(preprocessor, cached, store, metrics, hybrid, calibrations, recall, collection=settings.collection),
        uploads=_uploads(shared, preprocessor, store),
        health=Health(preprocessor, embedder, store, settings.collection, metrics),
        consumer=consumer,
        calibration=CalibrationUpkeep(kept, calibrations, indexed, verdicts),
        indexing=Indexing(
            settings, corpus, store, lambda: (preprocessor, bulk), decoder, shared.database, model_id, shared.changes
        ),
        requests=requests,
        recall=recall,
        hybrid=hybrid,
        texts=TextUpkeep(shared.texts, store, metrics),
    )


def _uploads(shared: Shared, preprocessor: Preprocessor, store: VectorStore) -> Uploads:
    max_bytes, locks = shared.settings.max_upload_bytes, shared.upload_locks
    return Uploads(shared.corpus, store, shared.changes, shared.decoder, preprocessor, max_bytes=max_bytes, locks=locks)


@contextmanager
def _consuming(changes: Changes, consumer: Consumer) -> Iterator[None]:
    with closing(consumer), closing(PeriodicTask("changes", consumer.run, CONSUME_EVERY_S)) as task:
        changes.on_notice(task.now)
        try:
            yield
        finally:
            consumer.stop()
            changes.forget(task.now)


def _with_text_cache(embedder: Embedder, settings: Settings, metrics: Metrics) -> Embedder:
    """The embedder of searches, with a cache of texts; checks of readiness use the model itself."""
    from ml_api.embedding.caching import CachingEmbedder

    return CachingEmbedder(embedder, metrics, entries=settings.text_cache) if settings.text_cache else embedder
