"""Everything a request can need."""

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field

from ml_api import __version__, logs
from ml_api.corpus.base import Corpus
from ml_api.corpus.thumbnails import Thumbnails
from ml_api.embedding.base import Embedder
from ml_api.health import Health
from ml_api.images import Decoder, ImageLimits
from ml_api.metrics import Metrics
from ml_api.metrics.sync import SyncFile
from ml_api.polling import Poll
from ml_api.search import Searcher
from ml_api.services.encoder import load_encoder
from ml_api.services.parts import corpus_of, decoder_of, milvus_store, previews_of
from ml_api.settings import Settings
from ml_api.spans import Spans, wanted
from ml_api.vectors.base import VectorStore

LOOK_EVERY_S = 15.0
"""How often readiness and the collection are looked at for the metrics: as often as Prometheus usually asks."""


_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """How the vectors are kept, for people to read."""

    collection: str
    backend: str
    metric: str


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a request can need. Owns what it holds: `close` releases it."""

    metrics: Metrics
    decoder: Decoder
    corpus: Corpus
    thumbnails: Thumbnails
    embedder: Embedder
    store: VectorStore
    searcher: Searcher
    health: Health
    facts: StoreFacts
    spans: Spans | None = None
    background: ExitStack = field(default_factory=ExitStack)
    """What runs beside requests, and ends before the parts it looks at."""

    @property
    def limits(self) -> ImageLimits:
        return self.decoder.limits

    def close(self) -> None:
        self.background.close()
        self.store.close()  # first, as a model that hangs must not keep it from being closed
        self.decoder.close()
        self.embedder.close()


def build_services(settings: Settings) -> Services:
    """Load the model, open the store, warm both up. Raises ConfigError.

    Call in the process that will serve: neither torch nor Milvus Lite survives a fork.
    """
    from ml_api.embedding.batching import BatchingEncoder, warm_up
    from ml_api.embedding.pretrained import resolve
    from ml_api.vectors.coalescing import CoalescingStore

    corpus = corpus_of(settings)
    with ExitStack() as background:
        metrics = background.enter_context(_metrics_of_service(settings))
        spans = background.enter_context(closing(Spans(os.environ, settings.environment))) if wanted(os.environ) else None
        pretrained = resolve(settings.model)
        milvus = milvus_store(settings, metrics)
        store = CoalescingStore(milvus, metrics, timeout_s=settings.request_timeout_s)
        store.ensure(pretrained.model_id, pretrained.dim)
        with ExitStack() as undo:
            undo.callback(store.close)
            encoder = load_encoder(settings, pretrained, metrics)
            undo.callback(encoder.close)
            costs = warm_up(encoder)
            undo.pop_all()
        embedder = BatchingEncoder(encoder, metrics, costs=costs)
        tell_what_is_there(settings, store.count())
        decoder = decoder_of(settings, metrics)
        health = background.enter_context(closing(Health(embedder, store, settings.collection, metrics)))
        background.enter_context(closing(Poll("health", health.look, LOOK_EVERY_S)))
        return Services(
            metrics=metrics,
            decoder=decoder,
            corpus=corpus,
            thumbnails=Thumbnails(previews_of(settings), decoder),
            embedder=embedder,
            store=store,
            searcher=Searcher(_remembering(embedder, settings, metrics), store, metrics),
            health=health,
            facts=StoreFacts(settings.collection, store.backend, settings.metric),
            spans=spans,
            background=background.pop_all(),
        )


def tell_what_is_there(settings: Settings, images: int) -> None:
    """Where the data lie, and what is missing if they are empty."""
    _log.info("data         %s, %d images of %s", settings.data_dir, images, settings.corpus)
    if not images:
        embedded = settings.store_uri.endswith(".db")
        then = "stop this service, run it, and start again" if embedded else "run it now"
        _log.warning("no image is indexed yet: `python -m ml_api sync`, with the same settings, does that; %s", then)


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


def _remembering(embedder: Embedder, settings: Settings, metrics: Metrics) -> Embedder:
    """For searches only: readiness asks the model itself."""
    from ml_api.embedding.caching import CachingEmbedder

    return CachingEmbedder(embedder, metrics, entries=settings.text_cache) if settings.text_cache else embedder
