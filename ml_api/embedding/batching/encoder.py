"""The thread that owns the model.

It takes what is waiting of one modality, the oldest and its best company; when it is idle, one input alone is a batch. Full queues
refuse at once, late inputs never reach the model, and whatever happens every caller gets an answer.
The shape follows the queue of huggingface/text-embeddings-inference.
"""

import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import InvalidStateError
from contextlib import suppress
from time import perf_counter
from typing import Final

from PIL import Image

from ml_api.embedding.base import Embedded, Encoder, Modality, Prepared
from ml_api.embedding.batching.queue import BatchQueue, Waiting
from ml_api.embedding.batching.sizing import MAX_BATCH, TYPICAL, Ceiling, PassCost
from ml_api.errors import DeadlineExceeded, MlApiError, ModelUnavailable
from ml_api.metrics import Metrics
from ml_api.records import ModelInfo

CLOSE_TIMEOUT_S: Final = 10.0

_log = logging.getLogger(__name__)


class BatchingEncoder:
    """An `Embedder` over any `Encoder`. Start it in the process that will serve: threads do not survive a fork."""

    def __init__(
        self,
        inner: Encoder,
        metrics: Metrics,
        *,
        queue_limit: int,
        max_batch: int = MAX_BATCH,
        costs: Mapping[Modality, PassCost] = TYPICAL,
    ) -> None:
        self._inner = inner
        self._metrics = metrics
        self._queue = BatchQueue(
            queue_limit, costs, lambda modality, depth: metrics.embedding.queue_depth.labels(modality).set(depth)
        )
        self._ceilings: dict[Modality, Ceiling] = {"text": Ceiling(max_batch), "image": Ceiling(max_batch)}
        self._thread = threading.Thread(target=self._run, name="embed", daemon=True)
        self._thread.start()

    @property
    def model(self) -> ModelInfo:
        return self._inner.model

    @property
    def image_edge_px(self) -> int:
        return self._inner.image_edge_px

    def prepare_text(self, text: str) -> Prepared:
        return self._inner.prepare_text(text)

    def prepare_image(self, image: Image.Image) -> Prepared:
        return self._inner.prepare_image(image)

    def embed_one(self, item: Prepared, timeout_s: float) -> Embedded:
        """Raises Overloaded if too many wait already, DeadlineExceeded after `timeout_s`, ModelUnavailable if the model fails."""
        waiting = Waiting(item, perf_counter() + timeout_s)
        self._queue.put(waiting)
        try:
            return waiting.answer.result(timeout_s)
        except TimeoutError as exc:
            # If its batch is already in the model, its vector is thrown away.
            if waiting.answer.cancel():
                self._metrics.embedding.items.labels(item.modality, "expired").inc()
            self._queue.withdraw(waiting)
            raise _too_late(timeout_s) from exc

    def ping(self) -> None:
        """Raise ModelUnavailable if nothing more can be embedded."""
        if self._queue.closed or not self._thread.is_alive():
            raise ModelUnavailable("The model is not running.")

    def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        """Let the model finish its batch, waiting at most `timeout_s`; refuse what waits. Safe to call twice."""
        _refuse(self._queue.close())
        self._thread.join(timeout_s)

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
        ceiling = self._ceilings[modality]
        parts = [batch]
        while parts:
            part = self._in_time(parts.pop(), modality)
            if len(part) > ceiling.now or (part and not self._pass(part, modality, ceiling) and len(part) > 1):
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]]

    def _pass(self, batch: Sequence[Waiting], modality: Modality, ceiling: Ceiling) -> bool:
        """Whether the model took it. A single input that it did not take is answered, too.

        By returning, not from where the exception is caught, are smaller ones tried: its traceback holds the failed pass's memory.
        """
        started = perf_counter()
        try:
            vectors = self._inner.embed([waiting.item for waiting in batch])
            answers = list(zip(batch, vectors, strict=True))
        except Exception as exc:  # noqa: BLE001 - the thread that owns the model outlives any input
            outcome = _outcome(exc)
            if len(batch) == 1:
                self._metrics.embedding.items.labels(modality, outcome).inc()
                batch[0].answer.set_exception(_translated(exc))
            elif outcome == "oom":
                ceiling.ran_out(len(batch))
                _log.warning("out of memory on %d inputs; batches of %d from now on", len(batch), ceiling.now)
            return False
        embed_s = perf_counter() - started
        ceiling.fitted(len(batch))
        self._metrics.embedding.items.labels(modality, "ok").inc(len(batch))
        self._metrics.embedding.batch_size.labels(modality).observe(len(batch))
        self._metrics.embedding.batch_duration.labels(modality).observe(embed_s)
        for waiting, vector in answers:
            waiting.answer.set_result(Embedded(vector, started - waiting.since, embed_s))
        return True

    def _in_time(self, batch: Sequence[Waiting], modality: Modality) -> list[Waiting]:
        """Without those whose time ran out while their batch was failing: their callers are gone, or about to go."""
        late = [waiting for waiting in batch if waiting.late()]
        for waiting in late:
            self._metrics.embedding.items.labels(modality, "expired").inc()
            waiting.answer.set_exception(_too_late(waiting.deadline - waiting.since))
        return [waiting for waiting in batch if waiting not in late]


def _refuse(waiting: Iterable[Waiting]) -> None:
    for one in waiting:
        with suppress(InvalidStateError):  # answered or given up already
            one.answer.set_exception(ModelUnavailable("The model is shutting down."))


def _too_late(timeout_s: float) -> DeadlineExceeded:
    return DeadlineExceeded(f"The model was too busy to answer within {timeout_s:g} s.")


def _outcome(exc: Exception) -> str:
    return "oom" if isinstance(exc, MlApiError) and exc.slug == "model-out-of-memory" else "error"


def _translated(exc: Exception) -> MlApiError:
    if isinstance(exc, MlApiError):
        return exc
    error = ModelUnavailable("The model failed on this input.")
    error.__cause__ = exc
    return error
