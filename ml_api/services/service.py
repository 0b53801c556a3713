"""The services of the application: everything that requests use, built and closed here."""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from ml_api import __version__, logs
from ml_api.access import Access
from ml_api.access.access import REFRESH_EVERY_S
from ml_api.addresses import url_of
from ml_api.corpus.base import Corpus
from ml_api.corpus.thumbnails import Thumbnails
from ml_api.database import Database
from ml_api.errors import ModelReplaced
from ml_api.feedback import Judgements, RecentSearches, Retention
from ml_api.images import Decoder, ImageLimits
from ml_api.indexing.changes import Changes
from ml_api.indexing.jobs import Jobs
from ml_api.indexing.jobs.heartbeat import Heartbeat, Owners
from ml_api.indexing.jobs.runner import SyncRunner, look_again
from ml_api.indexing.report import FailureReport
from ml_api.indexing.upload_locks import UploadLocks
from ml_api.metrics import Metrics
from ml_api.metrics.sync import SyncFile
from ml_api.periodic import PeriodicTask
from ml_api.services.engine import Engine, Shared, build_engine, open_coalescing_store, warm_model
from ml_api.services.indexer import reading_of, watching
from ml_api.services.migration import model_setting
from ml_api.services.operations import Operations
from ml_api.services.parts import access_of, corpus_of, database_of, decoder_of, milvus_store, thumbnail_cache_of
from ml_api.services.switching import ModelSwitch
from ml_api.services.target import follow_store, target_of
from ml_api.settings import Settings
from ml_api.spans import Spans, wanted
from ml_api.vectors.base import MetricType

if TYPE_CHECKING:
    from ml_api.embedding.pretrained import PretrainedModel
    from ml_api.vectors.coalescing import CoalescingStore
    from ml_api.vectors.milvus import MilvusStore

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """Facts about the collection, for `/v1/stats`."""

    collection: str
    backend: str
    metric: MetricType


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that requests use. Owns its parts: `close` releases them."""

    metrics: Metrics
    decoder: Decoder
    database: Database
    corpus: Corpus
    thumbnails: Thumbnails
    engine: Engine
    changes: Changes
    judgements: Judgements
    syncs: SyncRunner
    facts: StoreFacts
    access: Access | None = None
    """None: no API keys are asked for."""
    spans: Spans | None = None
    background: ExitStack = field(default_factory=ExitStack)
    """Background tasks, which are closed before the parts that they use."""
    switch: ModelSwitch | None = None
    """Replaces the engine when the model is switched; None where that never happens."""

    @property
    def limits(self) -> ImageLimits:
        return self.decoder.limits

    def current(self) -> "Services":
        """The services with the engine in use now."""
        engine = self.engine if self.switch is None else self.switch.engine
        return self if engine is self.engine else replace(self, engine=engine)

    def close(self) -> None:
        """Close all parts, even if some fail. The store is closed before parts that may hang: the model, the trace exporter."""
        try:
            self.background.close()
        finally:
            engine = self.current().engine  # it is not replaced any more
            with ExitStack() as last_first:
                if self.spans is not None:
                    last_first.callback(self.spans.close)
                for close in (engine.embedder.close, self.decoder.close, self.database.close, engine.close_store):
                    last_first.callback(close)


def build_services(settings: Settings) -> Services:
    """Load the model, open the store, warm both up. Raises ConfigError.

    Call in the process that will serve: neither torch nor Milvus Lite survives a fork.
    """
    with ExitStack() as undo, ExitStack() as background:  # on an error, too, background tasks end before their parts
        spans = undo.enter_context(closing(Spans(settings.environment))) if wanted(os.environ) else None
        shared = _shared(settings, undo, background)
        access = _access(settings, shared.database, background)
        engine, heartbeat = _engine(shared, undo, background)
        switch, syncs = _start_work(shared, engine, heartbeat, background)
        judgements = background.enter_context(_judgements(shared))
        services = Services(
            metrics=shared.metrics,
            decoder=shared.decoder,
            database=shared.database,
            corpus=shared.corpus,
            thumbnails=Thumbnails(thumbnail_cache_of(settings), shared.decoder),
            engine=engine,
            changes=shared.changes,
            judgements=judgements,
            syncs=syncs,
            facts=StoreFacts(settings.collection, engine.store.backend, settings.metric),
            access=access,
            spans=spans,
            background=background.pop_all(),
            switch=switch,
        )
        undo.pop_all()
    return services


def _shared(settings: Settings, undo: ExitStack, background: ExitStack) -> Shared:
    corpus = corpus_of(settings)
    metrics = background.enter_context(_metrics_of_service(settings))
    decoder = undo.enter_context(closing(decoder_of(settings, metrics)))  # early: it imports while the model is loaded
    database = undo.enter_context(closing(database_of(settings)))
    return Shared(
        settings, metrics, corpus, decoder, database, Changes(database, corpus.location), UploadLocks(settings.waiting_threads)
    )


def _engine(shared: Shared, undo: ExitStack, background: ExitStack) -> tuple[Engine, Heartbeat]:
    """Not at work yet."""
    settings = shared.settings
    milvus = milvus_store(settings, shared.metrics)
    pretrained, store = _open_store(shared, milvus)
    undo.callback(store.close)
    follow_store(settings, shared.database)
    # Early: commands that submit a sync while the model is loaded wait for this process.
    heartbeat = Heartbeat(
        shared.database,
        target_of(settings),
        shared.corpus.location,
        model=pretrained.model_id,
        address=_address(settings.host, settings.port),
        reading=json.dumps(reading_of(settings)),
    )
    background.enter_context(closing(heartbeat))
    model = warm_model(settings, pretrained, shared.metrics)
    undo.callback(model.embedder.close)
    model.measured_by(shared.metrics)
    log_index_size(settings, shared.corpus.location, store.count())
    engine = build_engine(shared, model, milvus, store)
    undo.callback(engine.close)
    return engine, heartbeat


def _start_work(shared: Shared, engine: Engine, heartbeat: Heartbeat, background: ExitStack) -> tuple[ModelSwitch, SyncRunner]:
    """Start the jobs and the background tasks, which `background` ends."""
    settings, database, corpus = shared.settings, shared.database, shared.corpus
    switch = background.enter_context(closing(ModelSwitch(shared, engine, heartbeat)))
    jobs = Jobs(database, target_of(settings), corpus.location, shared.metrics.jobs)
    again = FailureReport(partial(look_again, shared.changes))
    syncs = SyncRunner(jobs, heartbeat, Owners(database), switch.open_indexer, Operations(settings, switch).run, files=again)
    background.enter_context(closing(syncs))
    shared.changes.begin(alone=database.backend == "sqlite")
    engine.start(shared.changes)
    background.callback(
        switch.close
    )  # again, as jobs may have started more; the jobs may wait for this, so that it comes before their end, too
    background.enter_context(watching(settings, corpus, shared.changes, jobs))
    return switch, syncs


def _open_store(shared: Shared, milvus: "MilvusStore") -> tuple["PretrainedModel", "CoalescingStore"]:
    """Open the store for the configured model, or for the one that has replaced it. Raises ConfigError."""
    from ml_api.embedding.pretrained import resolve

    settings = shared.settings
    pretrained = resolve(settings.model, settings.text_model)
    try:
        store = open_coalescing_store(shared, milvus, pretrained)
    except ModelReplaced as exc:
        if not exc.setting:
            raise
        _log.warning("%s; it is used now", exc.detail)
        settings = settings.model_copy(update={"model": exc.setting})
        pretrained = resolve(settings.model, settings.text_model)
        store = open_coalescing_store(shared, milvus, pretrained)
    generations = milvus.generations()
    current = generations.current()
    if current.setting != model_setting(settings) and current.model_id == pretrained.model_id:
        generations.note_setting(current, model_setting(settings))
    return pretrained, store


def _address(host: str, port: int) -> str:
    """URL at which the service answers, on its own machine at least."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not listened on
    return url_of(host, port)


def _access(settings: Settings, database: Database, background: ExitStack) -> Access | None:
    """Kept in step with the database until `background` ends. Raises ConfigError."""
    access = access_of(settings, database)
    if access is not None:
        background.enter_context(closing(access))
        background.enter_context(closing(PeriodicTask("access", access.refresh, REFRESH_EVERY_S)))
    return access


@contextmanager
def _judgements(shared: Shared) -> Iterator[Judgements]:
    """Recent searches and the judgements on them, written periodically while this is open, and at its end."""
    settings, metrics = shared.settings, shared.metrics.feedback
    retention = Retention(settings.feedback_searches, settings.feedback_days)
    searches = RecentSearches(shared.database, target_of(settings), retention, metrics)
    with closing(PeriodicTask("searches", searches.upkeep, searches.write_every_s)) as task:
        searches.on_many = task.now
        yield Judgements(searches, metrics)
    searches.upkeep()


def log_index_size(settings: Settings, corpus: str, images: int) -> None:
    """Log the data folder and the number of images, and the next step if there are none."""
    _log.info("data         %s, %d images of %s", settings.data_dir, images, corpus)
    if not images and not settings.watch:
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
