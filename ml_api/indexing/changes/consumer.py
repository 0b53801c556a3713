"""Consumes the queue of changed keys: inspects them and applies the findings. During an outage of a part they stay in the queue."""

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from time import perf_counter
from typing import Final

from ml_api import tracing
from ml_api.corpus.base import Corpus
from ml_api.corpus.metadata import Metadata
from ml_api.embedding.base import Encoder, Preprocessor
from ml_api.errors import DatabaseUnavailable, MlApiError
from ml_api.images import Decoder
from ml_api.indexing.changes.applying import ChangeApplier
from ml_api.indexing.changes.inspection import Inspector
from ml_api.indexing.changes.queue import Changes
from ml_api.indexing.changes.rows import Change
from ml_api.indexing.embedding import FileEmbedder
from ml_api.indexing.failures import Failures
from ml_api.indexing.moves import Moves
from ml_api.indexing.reading import FileReader
from ml_api.indexing.sync import READERS
from ml_api.indexing.tasks import BATCH
from ml_api.metrics import Metrics
from ml_api.records import image_id
from ml_api.vectors.base import VectorStore

CLAIMED: Final = 2 * BATCH
"""While one batch is embedded, the next is read."""
PAUSES_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Before the next attempt while a part does not answer."""

_log = logging.getLogger(__name__)


class Consumer:
    """`run` processes all due keys in one thread; `stop` ends it after the batch under way."""

    def __init__(  # noqa: PLR0913 - the parts between which it stands
        self,
        changes: Changes,
        corpus: Corpus,
        store: VectorStore,
        *,
        preprocessor: Preprocessor,
        encoder: Encoder,
        decoder: Decoder,
        failures: Failures,
        metrics: Metrics,
    ) -> None:
        self._changes = changes
        self._corpus = corpus
        self._store = store
        self._decoder = decoder
        self._preprocessor = preprocessor
        self._encoder = encoder
        self._failures = failures
        self._metrics = metrics
        self._stopping = threading.Event()
        self._outages = 0
        self._paused_until = 0.0
        self._metadata: Metadata | None = None
        self._metadata_version = ""

    def stop(self) -> None:
        self._stopping.set()

    def close(self) -> None:
        """To be called when `run` has ended."""
        if self._metadata is not None:
            self._metadata.close()
            self._metadata = None

    def run(self) -> None:
        """Raises nothing for outages and broken files."""
        if perf_counter() < self._paused_until:
            with suppress(DatabaseUnavailable):
                self._tell_backlog()
            return
        try:
            with tracing.on_behalf_of([tracing.run_origin()]):
                self._tell_backlog()
                while not self._stopping.is_set() and (claimed := self._changes.claim(CLAIMED)):
                    self._apply(claimed)
                    self._tell_backlog()
        except MlApiError as exc:
            pause_s = PAUSES_S[min(self._outages, len(PAUSES_S) - 1)]
            self._paused_until = perf_counter() + pause_s
            self._outages += 1
            _log.warning("changes wait, and are tried again in %g s: %s", pause_s, exc.detail)
        else:
            self._outages = 0

    def _apply(self, claimed: Sequence[Change]) -> None:
        """Raises MlApiError if a part does not answer; the keys that are not settled are due again."""
        applier = ChangeApplier(self._store, self._changes, Moves(self._corpus, self._store), self._failures, self._metrics)
        try:
            stored = self._store.get([image_id(change.key) for change in claimed])
            reader = FileReader(self._corpus, self._decoder, self._preprocessor, lambda _digest: None)  # `Moves` asks for many
            inspector = Inspector(self._corpus, self._present_metadata(), self._failures, reader, stored)
            with (
                FileEmbedder(self._encoder, self._metrics.sync) as model,
                ThreadPoolExecutor(READERS, "change-read") as readers,
            ):
                reading = [(change, readers.submit(copy_context().run, inspector.inspect, change)) for change in claimed]
                try:
                    for change, finding in reading:
                        applier.add(change, finding.result(), model)
                    applier.finish(model)
                finally:
                    readers.shutdown(wait=False, cancel_futures=True)
        except MlApiError as exc:
            applier.put_back(claimed, exc.detail)
            raise

    def _present_metadata(self) -> Metadata:
        """The metadata, read again if they have changed: reading a large catalogue takes longer than the rest of an upload."""
        version = self._corpus.metadata_version()
        if self._metadata is None or self._metadata_version != version:
            self.close()
            self._metadata, self._metadata_version = self._corpus.metadata(), version
        return self._metadata

    def _tell_backlog(self) -> None:
        backlog = self._changes.backlog()
        self._metrics.changes.waiting.set(backlog.waiting)
        self._metrics.changes.oldest_seconds.set(max(0.0, time.time() - backlog.oldest_at) if backlog.waiting else 0.0)
