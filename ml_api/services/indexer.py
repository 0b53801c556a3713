"""The wiring of syncs, in the service and in a process of its own, and the file through which the service exports their metrics."""

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ml_api import __version__, images
from ml_api.corpus.base import Corpus
from ml_api.corpus.ignoring import IGNORE_FILE
from ml_api.corpus.metadata import METADATA_FILES
from ml_api.database import Database, missing_file
from ml_api.errors import ConfigError, NothingIndexed
from ml_api.images import Decoder
from ml_api.indexing.changes import Changes
from ml_api.indexing.failures import Failures, StoredFailures
from ml_api.indexing.jobs import Jobs, SyncOptions
from ml_api.indexing.preview import Preview, preview
from ml_api.indexing.sync import Indexer
from ml_api.indexing.watcher import Watcher
from ml_api.metrics import Metrics
from ml_api.metrics.sync import SyncMetrics
from ml_api.periodic import PeriodicTask
from ml_api.services.encoder import Model, image_model, load_later
from ml_api.services.parts import corpus_of, database_of, decoder_of, limits_of, milvus_store, ours_of, thumbnail_cache_of
from ml_api.services.target import follow_store, target_of
from ml_api.settings import Settings, environment_name
from ml_api.texts import TextIndex, TextIndexingStore, TextUpkeep
from ml_api.vectors.base import VectorStore

READ_BY: Final = (
    "ignore",
    "include",
    "follow_links",
    "catalogue",
    "exif",
    "max_upload_bytes",
    "max_image_pixels",
    "max_image_aspect",
    "decode_timeout_s",
    "decode_memory_bytes",
)
"""The settings that decide which files a sync indexes, and what of them."""
WATCH_PAUSE_S = 0.02
"""Between two steps, each of which waits for something to happen."""
SAVE_EVERY_S = 5.0
"""Interval at which a running sync writes its metrics."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Indexing:
    """The parts of syncs, which stay open between them."""

    settings: Settings
    corpus: Corpus
    store: VectorStore
    load_model: Callable[[], Model]
    """Called by a sync that has something to embed."""
    decoder: Decoder
    database: Database
    model_id: str
    changes: Changes
    """They take precedence over what a sync has read before."""

    @contextmanager
    def open(self, options: SyncOptions) -> Iterator[Indexer]:
        """The indexer of one sync. Its metrics are in the file that the service exports; thumbnails of images that are no longer
        stored are deleted at its end. Raises ConfigError."""
        failures = failures_of(self.settings, self.database, self.corpus.location, self.model_id, retry=options.retry_failed)
        metrics = Metrics()
        with _passing_on(metrics.sync, self.settings.sync_metrics):
            yield Indexer(
                self.corpus,
                self.store,
                self.load_model,
                self.decoder,
                metrics,
                failures=failures,
                superseded=self.changes.superseded,
                rehash=options.rehash,
            )
            thumbnail_cache_of(self.settings).prune(entry.digest for entry in self.store.entries())


@contextmanager
def open_indexer(settings: Settings, options: SyncOptions = SyncOptions()) -> Iterator[Indexer]:  # noqa: B008 - frozen
    """The indexer of a sync in a process of its own. Raises ConfigError."""
    corpus = corpus_of(settings)
    metrics = Metrics()
    pretrained = image_model(settings)
    with closing(milvus_store(settings, metrics)) as store, ExitStack() as opened:
        store.ensure(pretrained.model_id, pretrained.dim)  # first: another sync may have the store, and write its metrics
        decoder = opened.enter_context(closing(decoder_of(settings, metrics)))
        database = opened.enter_context(closing(database_of(settings)))
        follow_store(settings, database)
        texts = TextIndex(database, target_of(settings))
        indexing = Indexing(
            settings,
            corpus,
            TextIndexingStore(store, texts),
            load_later(settings, pretrained, opened),
            decoder,
            database,
            pretrained.model_id,
            Changes(database, corpus.location),
        )
        with indexing.open(options) as indexer:
            yield indexer
            TextUpkeep(texts, store, metrics).compare()


@contextmanager
def watching(settings: Settings, corpus: Corpus, changes: Changes, jobs: Jobs) -> Iterator[None]:
    """Follow the corpus, if that is wanted."""
    if not settings.watch or not isinstance(settings.corpus, Path):
        yield
        return
    from ml_api.corpus.notices import FolderNotices

    special = {*METADATA_FILES, IGNORE_FILE}
    watcher = Watcher(FolderNotices(settings.corpus, ours_of(settings)), corpus, changes, jobs, special=special)
    with closing(PeriodicTask("watch", watcher.step, WATCH_PAUSE_S)), closing(watcher):
        yield


def reading_of(settings: Settings) -> dict[str, str]:
    """A hash of each of READ_BY, by field: a catalogue's URL may hold a password."""
    return {field: hashlib.sha256(str(getattr(settings, field)).encode()).hexdigest()[:16] for field in READ_BY}


def failures_of(settings: Settings, database: Database, corpus: str, model_id: str, *, retry: bool) -> StoredFailures:
    """What failed in earlier syncs of the corpus at that location, under the same limits, decoders and model."""
    bounds = f"{limits_of(settings)}, {settings.decode_timeout_s} s, {settings.decode_memory_bytes} bytes"
    made_with = f"{corpus}, {bounds}, {images.versions()}, {__version__}, {model_id}"
    return StoredFailures(database, corpus, made_with, retry=retry)


def preview_sync(settings: Settings, options: SyncOptions) -> Preview:
    """What a sync with these settings would do. Makes neither a store nor a database. Raises ConfigError and Unavailable."""
    from ml_api.vectors.memory import MemoryStore

    corpus = corpus_of(settings)
    pretrained = image_model(settings)
    failures = Failures()
    with ExitStack() as opened:
        store: VectorStore
        store = milvus = opened.enter_context(closing(milvus_store(settings, Metrics())))
        try:
            milvus.ensure(pretrained.model_id, pretrained.dim, create=False)
        except NothingIndexed:
            store = MemoryStore()
            store.ensure(pretrained.model_id, pretrained.dim)
        if missing_file(settings.database_address) is None:
            database = opened.enter_context(closing(database_of(settings)))
            failures = failures_of(settings, database, corpus.location, pretrained.model_id, retry=options.retry_failed)
        return preview(corpus, store, failures, options.consent, rehash=options.rehash)


@contextmanager
def _passing_on(metrics: SyncMetrics, path: Path) -> Iterator[None]:
    """Write the metrics of a sync to the file that the service exports. Raises ConfigError if that fails."""
    metrics.restore(path)
    try:
        metrics.save(path)
    except OSError as exc:
        raise ConfigError(f"{environment_name('data_dir')}: cannot write {path}: {exc.strerror}") from exc

    def save() -> None:
        try:
            metrics.save(path)
        except OSError as exc:
            _log.warning("the metrics of this sync cannot be written to %s: %s", path, exc.strerror)

    with closing(PeriodicTask("sync-metrics", save, SAVE_EVERY_S)) as task:
        try:
            yield
        finally:
            task.close()
            save()
