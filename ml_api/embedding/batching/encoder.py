"""The threads that own the model, as many as it has a use for.

Each takes what is waiting of one modality, the oldest and its best company; for an idle one, one input alone is a batch.
How many may wait is limited where requests are let in. Late inputs never reach the model, and every caller gets an answer.
The shape follows the queue of huggingface/text-embeddings-inference.
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
from ml_api.embedding.base import AT_ONCE, Embedded, Embedder, Encoder, Prepared
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
    """An `Embedder` over any `Encoder`, which it owns. Start it in the process that will serve: threads do not survive a fork."""

    def __init__(
        self,
        inner: Encoder,
        metrics: Metrics,
        *,
        max_batch: int = MAX_BATCH,
        costs: Mapping[Modality, PassCost] = TYPICAL,
        elsewhere: Callable[[], float] = lambda: -math.inf,
    ) -> None:
        """`elsewhere` as `BatchQueue` has it: bulk work is polite to another model's searches, too."""
        self._inner = inner
        self._metrics = metrics
        self._queue = BatchQueue(
            costs,
            metrics.embedding.waits,
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
        """Tells when the last input came that was not bulk; for `elsewhere`, without keeping this encoder."""
        return self._queue.came_at

    def embed_one(self, item: Prepared, timeout_s: float) -> Embedded:
        """Raises DeadlineExceeded after `timeout_s`, ModelUnavailable if the model fails."""
        [answer] = self.embed_all([item], timeout_s)
        if isinstance(answer, MlApiError):
            raise answer
        return answer

    def embed_all(self, items: Iterable[Prepared], timeout_s: float) -> list[Embedded | MlApiError]:
        """As `Embedder` says. They are queued in halves of AT_ONCE, each in one step, so that an idle model takes it together: one
        waits while the one before is in the model.
        """
        deadline, left = perf_counter() + timeout_s, iter(items)
        halves = deque[list[Waiting]]()
        answers = list[Embedded | MlApiError]()
        try:
            while half := [Waiting(item, deadline) for item in islice(left, AT_ONCE // 2)]:
                self._queue.put(*half)
                halves.append(half)
                if len(halves) > 1:
                    answers += map(_outcome, halves[0])
                    halves.popleft()
            answers += map(_outcome, chain.from_iterable(halves))
        except TimeoutError as exc:
            raise _too_late(timeout_s) from exc
        finally:
            self._give_up([one for one in chain.from_iterable(halves) if not one.answer.done()])
        return answers

    def _give_up(self, waiting: Sequence[Waiting]) -> None:
        """Nobody waits for these any more. The vectors of those whose batch is in the model already are thrown away."""
        for one in waiting:
            if one.answer.cancel():
                self._metrics.embedding.items.labels(one.item.modality, InputOutcome.EXPIRED).inc()
            self._queue.withdraw(one)

    def embed_bulk(self, items: Sequence[Prepared]) -> Vectors:
        """As `Embedder` says; a model that does nothing for BULK_PATIENCE_S is unavailable."""
        waiting = [Waiting(item, math.inf) for item in items]
        self._queue.put_bulk(waiting)
        try:
            return np.stack([one.answer.result(BULK_PATIENCE_S).vector for one in waiting])
        except TimeoutError as exc:
            raise ModelUnavailable(f"The model did nothing for {BULK_PATIENCE_S:g} s.") from exc
        finally:
            for one in waiting:
                one.answer.cancel()

    @property
    def concurrency(self) -> int:
        """How many calls of `embed_bulk` at once make the most of the model."""
        return self._inner.concurrency

    def ping(self) -> None:
        """Raise ModelUnavailable if nothing more can be embedded."""
        if self._queue.closed or not all(thread.is_alive() for thread in self._threads):
            raise ModelUnavailable("The model is not running.")

    def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        """Let the model finish its batch, waiting at most `timeout_s`; refuse what waits. Safe to call twice."""
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
        finally:  # closed or dead, nobody may wait for ever
            _refuse([*batch, *self._queue.close()])

    def _embed(self, batch: list[Waiting]) -> None:
        """Answer everybody in `batch`. One that fails is halved until the culprit is alone, so that only its sender suffers."""
        modality = batch[0].item.modality
        parts = Parts(batch, self._ceilings[modality])
        for part in parts:
            if in_time := self._in_time(part, modality):
                with tracing.on_behalf_of(origin for waiting in in_time for origin in waiting.origins):
                    self._try(in_time, modality, parts)

    def _try(self, part: Sequence[Waiting], modality: Modality, parts: Parts[Waiting]) -> None:
        """Answer for `part`, or split it. Whatever is logged meanwhile carries the ids of everybody in it."""
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
        """Answer for a single input; of several, say so: those that pass on their own tell nobody."""
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
        """Without those whose time ran out while their batch was failing: their callers are gone, or about to go."""
        late = [waiting for waiting in batch if waiting.late()]
        for waiting in late:
            self._metrics.embedding.items.labels(modality, InputOutcome.EXPIRED).inc()
            waiting.answer.set_exception(_too_late(waiting.deadline - waiting.since))
        return [waiting for waiting in batch if waiting not in late]


class BulkEncoder:
    """An `Encoder` for syncs over an `Embedder` that others share, whose work waits behind theirs. Closing it closes nothing."""

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
    """Raises TimeoutError."""
    try:
        return waiting.answer.result(max(0.0, waiting.deadline - perf_counter()))
    except DeadlineExceeded:
        raise TimeoutError from None
    except MlApiError as exc:
        return exc


def _lengths(vectors: Vectors) -> list[float]:
    """The length of each row. Raises NonFiniteVector unless all are finite, whatever the encoder itself looked at."""
    lengths = np.linalg.norm(vectors, axis=1)
    if not np.isfinite(lengths).all():
        raise NonFiniteVector
    return cast("list[float]", lengths.tolist())


def _refuse(waiting: Iterable[Waiting]) -> None:
    for one in waiting:
        with suppress(InvalidStateError):  # answered or given up already
            one.answer.set_exception(ModelUnavailable("The model is shutting down."))


def _too_late(timeout_s: float) -> DeadlineExceeded:
    return DeadlineExceeded(f"The model was too busy to answer within the {timeout_s:.3g} s that were left.")


def _translated(exc: Exception) -> MlApiError:
    if isinstance(exc, MlApiError):
        return exc
    error = ModelUnavailable("The model failed on this input.")
    error.__cause__ = exc
    return error
