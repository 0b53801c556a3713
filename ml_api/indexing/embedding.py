"""Embeds the files of a sync in batches, as many at once as the encoder computes side by side."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from ml_api.embedding.base import Encoder, Prepared
from ml_api.embedding.batching import MAX_BATCH
from ml_api.embedding.splitting import Ceiling, Parts
from ml_api.errors import ModelOutOfMemory, NonFiniteVector, Overloaded
from ml_api.indexing.reading import Fresh
from ml_api.metrics.sync import SyncMetrics
from ml_api.records import Vectors
from ml_api.vocabulary import SyncStage

PAUSES_S: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Before the next attempt while the model is overloaded by others."""


@dataclass(frozen=True, slots=True)
class EmbeddedFiles:
    """Files and their vectors; or a single file without a vector, and the reason."""

    files: Sequence[Fresh]
    vectors: Vectors | None
    reason: str = ""


class FileEmbedder:
    """A context manager, which waits at its end for the batches in the model."""

    def __init__(self, encoder: Encoder, measured: SyncMetrics, *, pause: Callable[[float], None] = time.sleep) -> None:
        self._encoder = encoder
        self._pause = pause
        self._measured = measured
        self._ceiling = Ceiling(MAX_BATCH)
        self._threads = ThreadPoolExecutor(encoder.concurrency, "sync-embed")
        self._under_way: deque[Future[list[EmbeddedFiles]]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._threads.shutdown(cancel_futures=True)

    def submit(self, files: Sequence[Fresh]) -> list[EmbeddedFiles]:
        """Start to embed `files` as soon as the encoder has room; returns batches that are done. Raises ModelUnavailable."""
        done = self._out(self._encoder.concurrency - 1)
        self._under_way.append(self._threads.submit(copy_context().run, self._embed, files))
        return done

    def finish(self) -> list[EmbeddedFiles]:
        """Wait for the batches that are under way. Raises ModelUnavailable."""
        return self._out(0)

    def _out(self, left: int) -> list[EmbeddedFiles]:
        done: list[EmbeddedFiles] = []
        while len(self._under_way) > left:
            done += self._under_way.popleft().result()
        return done

    def _embed(self, files: Sequence[Fresh]) -> list[EmbeddedFiles]:
        with self._measured.stage(SyncStage.EMBED):
            return list(self._in_parts(files))

    def _embed_patiently(self, items: Sequence[Prepared]) -> Vectors:
        """Raises Overloaded if a server that other clients use, too, is overloaded for all PAUSES_S."""
        for pause_s in PAUSES_S:
            try:
                return self._encoder.embed(items)
            except Overloaded:
                self._pause(pause_s)
        return self._encoder.embed(items)

    def _in_parts(self, files: Sequence[Fresh]) -> Iterator[EmbeddedFiles]:
        """Embed all `files` at once, or in parts that fit in memory; batches that fail are halved until the file at fault is alone.
        Raises errors that are not of a file."""
        parts = Parts(files, self._ceiling)
        for part in parts:
            try:
                vectors = self._embed_patiently([file.prepared for file in part])
            except ModelOutOfMemory as exc:
                if not parts.split(part, exc):
                    raise
            except NonFiniteVector as exc:
                if not parts.split(part, exc):
                    yield EmbeddedFiles(part, None, exc.detail)
            else:
                self._ceiling.fitted(len(part))
                yield EmbeddedFiles(part, vectors)
