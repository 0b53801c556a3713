"""Batches of a sync on their way into the store: one is written while the next is made."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from types import MappingProxyType, TracebackType
from typing import Self

from ml_api.indexing.edits import Superseded, upsert_keeping_edits
from ml_api.indexing.recorder import SyncRecorder
from ml_api.indexing.report import FileOutcome
from ml_api.metrics.sync import SyncMetrics
from ml_api.records import Entry, ImageRecord, Vectors
from ml_api.vectors.base import VectorStore
from ml_api.vocabulary import SyncStage


class BatchWriter:
    """A context: what is being written at its end is waited for. What is written is accounted for by then, or by `finish`."""

    def __init__(self, store: VectorStore, superseded: Superseded, recorder: SyncRecorder, measured: SyncMetrics) -> None:
        self._store = store
        self._superseded = superseded
        self._recorder = recorder
        self._measured = measured
        self._thread = ThreadPoolExecutor(1, "sync-write")
        self._written: tuple[Future[None], Sequence[FileOutcome]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._thread.shutdown()

    def write(
        self,
        records: Sequence[ImageRecord],
        vectors: Vectors,
        outcomes: Sequence[FileOutcome],
        moved: Mapping[str, Entry] = MappingProxyType({}),
    ) -> None:
        """Start writing a batch, once the one before it is written: a failure shows before more work is done.

        `moved` as in `upsert_keeping_edits`.
        """
        self.finish()

        def write() -> None:
            with self._measured.stage(SyncStage.WRITE):
                upsert_keeping_edits(self._store, records, vectors, self._superseded, moved)

        self._written = self._thread.submit(copy_context().run, write), outcomes

    def finish(self) -> None:
        """Wait for what is being written. Raises as `VectorStore.upsert` does."""
        if self._written is not None:
            (written, outcomes), self._written = self._written, None
            written.result()
            self._recorder.add(outcomes)
