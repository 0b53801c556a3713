"""What a sync makes of the model: batches of files go in, as many at once as it has a use for, and come out with vectors."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from ml_api.embedding.base import Encoder
from ml_api.embedding.batching import MAX_BATCH
from ml_api.embedding.splitting import Ceiling, Parts
from ml_api.errors import ModelOutOfMemory, NonFiniteVector
from ml_api.indexing.reading import Fresh
from ml_api.metrics.sync import SyncMetrics
from ml_api.records import Vectors
from ml_api.vocabulary import SyncStage


@dataclass(frozen=True, slots=True)
class EmbeddedFiles:
    """Files and their vectors; or, with none, a single file that the model makes no vector of, and why."""

    files: Sequence[Fresh]
    vectors: Vectors | None
    reason: str = ""


class FileEmbedder:
    """A context: what is in the model at its end is waited for."""

    def __init__(self, encoder: Encoder, measured: SyncMetrics) -> None:
        self._encoder = encoder
        self._measured = measured
        self._ceiling = Ceiling(MAX_BATCH)
        self._threads = ThreadPoolExecutor(encoder.concurrency, "sync-embed")
        self._under_way: deque[Future[list[EmbeddedFiles]]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._threads.shutdown(cancel_futures=True)

    def submit(self, files: Sequence[Fresh]) -> list[EmbeddedFiles]:
        """Start to embed `files`, once there is room; what had to come out for that. Raises ModelUnavailable."""
        done = self._out(self._encoder.concurrency - 1)
        self._under_way.append(self._threads.submit(copy_context().run, self._embed, files))
        return done

    def drain(self) -> list[EmbeddedFiles]:
        """What is still under way. Raises ModelUnavailable."""
        return self._out(0)

    def _out(self, left: int) -> list[EmbeddedFiles]:
        done: list[EmbeddedFiles] = []
        while len(self._under_way) > left:
            done += self._under_way.popleft().result()
        return done

    def _embed(self, files: Sequence[Fresh]) -> list[EmbeddedFiles]:
        with self._measured.stage(SyncStage.EMBED):
            return list(self._in_parts(files))

    def _in_parts(self, files: Sequence[Fresh]) -> Iterator[EmbeddedFiles]:
        """All of `files` at once, or in parts that fit, and halved until a culprit is alone. Raises what is no file's fault."""
        parts = Parts(files, self._ceiling)
        for part in parts:
            try:
                vectors = self._encoder.embed([file.prepared for file in part])
            except ModelOutOfMemory as exc:
                if not parts.split(part, exc):
                    raise
            except NonFiniteVector as exc:
                if not parts.split(part, exc):
                    yield EmbeddedFiles(part, None, exc.detail)
            else:
                self._ceiling.fitted(len(part))
                yield EmbeddedFiles(part, vectors)
