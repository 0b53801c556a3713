"""Runs the threads that own the model, as many as its encoder's concurrency; `services` puts it around every encoder.

Each thread takes a batch of one modality from the queue: the oldest input and those that fit it best; an idle thread takes even a
single input at once. Admission limits how many inputs wait. Expired inputs never reach the model, and every caller gets an answer.
The design follows the queue of huggingface/text-embeddings-inference.
"""

import logging
import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import InvalidStateError
from contextlib import suppress
from itertools import chain, islice
from time import perf_counter
from typing import Final, cast

import numpy as np

from ml_api import tracing
from ml_api.embedding.base import MAX_IN_FLIGHT, Embedded, Embedder, Encoder, Prepared
from ml_api.embedding.batching.costs import MAX_BATCH, TYPICAL, PassCost
from ml_api.embedding.batching.queue import BatchQueue, Waiting
from ml_api.embedding.splitting import Ceiling, Parts
from ml_api.errors import DeadlineExceeded, MlApiError, ModelOutOfMemory, ModelUnavailable, NonFiniteVector
from ml_api.metrics import Metrics
from ml_api.metrics.embedding import InputOutcome
from ml_api.records import ModelInfo, Vectors
from ml_api.vocabulary import Modality

CLOSE_TIMEOUT_S: Final = 10.0
BULK_PATIENCE_S: Final = 60.0

_log = logging.getLogger(__name__)


class BatchingEncoder:
    """An `Embedder` over any `Encoder`, which it owns. Construct it in the process that serves: threads do not survive a fork."""

    def __init__(
        self,
        inner: Encoder,
        metrics: Metrics,
        *,
        max_batch: int = MAX_BATCH,
        costs: Mapping[Modality, PassCost] = TYPICAL,
        elsewhere: Callable[[], float] = lambda: -math.inf,
    ) -> None:
        """`elsewhere` is that of `BatchQueue`: bulk work also gives way to searches with another model."""
        self._inner = inner
        self._metrics = metrics
        self._queue = BatchQueue(
            costs,
            metrics.embedding.set_depth,
            inner.concurrency,
            elsewhere=elsewhere,
        )
        self._ceilings: dict[Modality, Ceiling] = {"text": Ceiling(max_batch), "image": Ceiling(max_batch)}
        self._threads = [threading.Thread(target=self._run, name="embed", daemon=True) for _ in range(inner.concurrency)]
        for thread in self._threads:
            thread.start()

    @property
    def model(self) -> ModelInfo:
        return self._inner.model

    @property
    def came_at(self) -> Callable[[], float]:
        """A function that returns when the last interactive input arrived: another model's `elsewhere`. It does not keep this
        encoder in memory."""
        return self._queue.came_at

    def embed_one(self, item: Prepared, timeout_s: float) -> Embedded:
        """See `Embedder.embed_one`."""
        [answer] = self.embed_all([item], timeout_s)
        if isinstance(answer, MlApiError):
            raise answer
        return answer

    def embed_all(self, items: Iterable[Prepared], timeout_s: float) -> list[Embedded | MlApiError]:
        """See `Embedder.embed_all`. Inputs are queued in chunks of half of MAX_IN_FLIGHT, so that one waits while the one before it
        is in the model. A chunk is queued in one step, so that an idle model takes it as one batch.
        """
        deadline, left = perf_counter() + timeout_s, iter(items)
        chunks = deque[list[Waiting]]()
        answers = list[Embedded | MlApiError]()
        try:
            while chunk := [Waiting(item, deadline) for item in islice(left, MAX_IN_FLIGHT // 2)]:
                self._queue.put(*chunk)
                chunks.append(chunk)
                if len(chunks) > 1:
                    answers += map(_outcome, chunks[0])
                    chunks.popleft()
            answers += map(_outcome, chain.from_iterable(chunks))
        except TimeoutError as exc:
            raise _too_late(timeout_s) from exc
        finally:
            self._give_up([waiting for waiting in chain.from_iterable(chunks) if not waiting.answer.done()])
        return answers

    def _give_up(self, inputs: Sequence[Waiting]) -> None:
        """Remove inputs whose caller waits no longer. The vectors of those that are in the model already are discarded."""
        for waiting in inputs:
            if waiting.answer.cancel():
                self._metrics.embedding.items.labels(waiting.item.modality, InputOutcome.EXPIRED).inc()
            self._queue.withdraw(waiting)

    def embed_bulk(self, items: Sequence[Prepared]) -> Vectors:
        """See `Embedder.embed_bulk`. Raises ModelUnavailable if nothing is embedded for BULK_PATIENCE_S."""
        inputs = [Waiting(item, math.inf) for item in items]
        self._queue.put_bulk(inputs)
        try:
            return np.stack([waiting.answer.result(BULK_PATIENCE_S).vector for waiting in inputs])
        except TimeoutError as exc:
            raise ModelUnavailable(f"The model did nothing for {BULK_PATIENCE_S:g} s.") from exc
        finally:
            for waiting in inputs:
                waiting.answer.cancel()

    @property
    def concurrency(self) -> int:
        return self._inner.concurrency

    def ping(self) -> None:
        """Raise ModelUnavailable if nothing more can be embedded."""
        if self._queue.closed or not all(thread.is_alive() for thread in self._threads):
            raise ModelUnavailable("The model is not running.")

    def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        """Wait at most `timeout_s` for the batches in the model, and refuse the inputs that wait. Safe to call twice."""
        _refuse(self._queue.close())
        deadline = perf_counter() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - perf_counter()))
        self._inner.close()

    def _run(self) -> None:
        batch: list[Waiting] = []
        try:
            while batch := self._queue.take({modality: ceiling.now for modality, ceiling in self._ceilings.items()}):
                self._embed(batch)
        except BaseException:  # noqa: BLE001 - SystemExit from a library included, it must not die unnoticed
            _log.critical("the thread that owns the model died; nothing more can be embedded", exc_info=True)
        finally:  # whether the queue was closed or this thread failed, no caller may wait for ever
            _refuse([*batch, *self._queue.close()])

    def _embed(self, batch: list[Waiting]) -> None:
        """Embed a batch and answer all its callers. A batch that fails is halved until the input at fault is alone, so that only
        its caller gets an error."""
        modality = batch[0].item.modality
        parts = Parts(batch, self._ceilings[modality])
        for part in parts:
            if in_time := self._in_time(part, modality):
                with tracing.on_behalf_of(origin for waiting in in_time for origin in waiting.origins):
                    self._try(in_time, modality, parts)

    def _try(self, part: Sequence[Waiting], modality: Modality, parts: Parts[Waiting]) -> None:
        """Embed `part` and answer its callers, or split it."""
        started = perf_counter()
        try:
            vectors = self._inner.embed([waiting.item for waiting in part])
            answers = list(zip(part, vectors, _lengths(vectors), strict=True))
        except Exception as exc:  # noqa: BLE001 - the thread that owns the model outlives any input
            self._failed(part, modality, parts, exc)
            return
        embed_s = perf_counter() - started
        self._ceilings[modality].fitted(len(part))
        measured = self._metrics.embedding
        measured.items.labels(modality, InputOutcome.OK).inc(len(part))
        measured.batch_size.labels(modality).observe(len(part))
        measured.batch_duration.labels(modality).observe(embed_s)
        for waiting, vector, length in answers:
            measured.norm.labels(modality).observe(length)
            waiting.answer.set_result(Embedded(vector, started - waiting.since, embed_s, len(part)))

    def _failed(self, part: Sequence[Waiting], modality: Modality, parts: Parts[Waiting], exc: Exception) -> None:
        """Answer a single input with its error, or split a part of several and log that it failed: inputs that succeed on their own
        report nothing."""
        out_of_memory = isinstance(exc, ModelOutOfMemory)
        if parts.split(part, exc):
            if not out_of_memory:
                _log.warning("the model failed on %d inputs together; trying them in halves", len(part), exc_info=exc)
            return
        self._metrics.embedding.items.labels(modality, InputOutcome.OUT_OF_MEMORY if out_of_memory else InputOutcome.ERROR).inc()
        if isinstance(exc, NonFiniteVector):
            self._metrics.embedding.nonfinite.labels(modality).inc()
        part[0].answer.set_exception(_translated(exc))

    def _in_time(self, batch: Sequence[Waiting], modality: Modality) -> list[Waiting]:
        """The inputs without those whose deadline passed while earlier parts of their batch failed; these are answered with it."""
        late = [waiting for waiting in batch if waiting.late()]
        for waiting in late:
            self._metrics.embedding.items.labels(modality, InputOutcome.EXPIRED).inc()
            waiting.answer.set_exception(_too_late(waiting.deadline - waiting.since))
        return [waiting for waiting in batch if waiting not in late]


class BulkEncoder:
    """An `Encoder` for syncs over a shared `Embedder`, at the low priority of `embed_bulk`. Closing it closes nothing."""

    def __init__(self, shared: Embedder) -> None:
        self._shared = shared

    @property
    def model(self) -> ModelInfo:
        return self._shared.model

    @property
    def concurrency(self) -> int:
        return self._shared.concurrency

    def embed(self, items: Sequence[Prepared]) -> Vectors:
        return self._shared.embed_bulk(items)

    def close(self) -> None:
        pass


def _outcome(waiting: Waiting) -> Embedded | MlApiError:
    """Wait for the answer to an input. Raises TimeoutError at its deadline."""
    try:
        return waiting.answer.result(max(0.0, waiting.deadline - perf_counter()))
    except DeadlineExceeded:
        raise TimeoutError from None
    except MlApiError as exc:
        return exc


def _lengths(vectors: Vectors) -> list[float]:
    """The length of each row. Raises NonFiniteVector unless all are finite, whether or not the encoder checks it, too."""
    lengths = np.linalg.norm(vectors, axis=1)
    if not np.isfinite(lengths).all():
        raise NonFiniteVector
    return cast("list[float]", lengths.tolist())


def _refuse(inputs: Iterable[Waiting]) -> None:
    for waiting in inputs:
        with suppress(InvalidStateError):  # answered or given up already
            waiting.answer.set_exception(ModelUnavailable("The model is shutting down."))


def _too_late(timeout_s: float) -> DeadlineExceeded:
    return DeadlineExceeded(f"The model was too busy to answer within the {timeout_s:.3g} s that were left.")


def _translated(exc: Exception) -> MlApiError:
    if isinstance(exc, MlApiError):
        return exc
    error = ModelUnavailable("The model failed on this input.")
    error.__cause__ = exc
    return error
