"""What a sync needs, and the file that it leaves its metrics in."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from ml_api import __version__, images
from ml_api.errors import ConfigError
from ml_api.indexing.failures import Failures
from ml_api.indexing.sync import Indexer
from ml_api.metrics import Metrics
from ml_api.metrics.sync import SyncMetrics
from ml_api.periodic import PeriodicTask
from ml_api.services.encoder import load_later
from ml_api.services.parts import corpus_of, decoder_of, milvus_store, thumbnail_cache_of
from ml_api.settings import Settings, environment_name

FAILURES = "sync-failures.json"
"""The file with stored failures, in the data folder."""

SAVE_EVERY_S = 5.0
"""Interval at which a running sync writes its metrics."""

_log = logging.getLogger(__name__)


@contextmanager
def open_indexer(settings: Settings, *, retry_failed: bool = False) -> Iterator[Indexer]:
    """What a sync needs. The model is loaded only if there is something to embed. Raises ConfigError.

    With `retry_failed` nothing is known of files that failed before.
    """
    from ml_api.embedding.pretrained import resolve

    corpus = corpus_of(settings)
    metrics = Metrics()
    # Images alone are embedded here: a text encoder is named only so that a Triton server that has it is recognised.
    pretrained = resolve(settings.model, settings.text_model if settings.embedding_url else "")
    with closing(milvus_store(settings, metrics)) as store:
        store.ensure(pretrained.model_id, pretrained.dim)
        # Only when the store is locked: another sync may be writing there until then.
        with _passing_on(metrics.sync, settings.sync_metrics), ExitStack() as loaded:
            load = load_later(settings, pretrained, metrics, loaded)
            decoder = loaded.enter_context(closing(decoder_of(settings, metrics)))
            bounds = f"{decoder.limits}, {settings.decode_timeout_s} s, {settings.decode_memory_bytes} bytes"
            made_with = f"{corpus.location}, {bounds}, {images.versions()}, {__version__}, {pretrained.model_id}"
            failures = Failures(settings.data_dir / FAILURES, made_with)
            if retry_failed:
                failures.keep(lambda _key: False)
            yield Indexer(corpus, store, load, decoder, metrics, failures=failures)
            # At the end: thumbnails of deleted images are removed, too.
            thumbnail_cache_of(settings).prune(entry.digest for entry in store.entries())


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
