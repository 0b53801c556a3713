"""Many callers, one model. The stubs meet the callers at barriers and events, so nothing here waits for time to pass."""

import contextvars
import io
import json
import logging
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest

from ml_api import tracing
from ml_api.embedding.base import Embedded, Prepared
from ml_api.embedding.batching import BatchingEncoder
from ml_api.embedding.batching.costs import PassCost
from ml_api.embedding.fake import FakeEncoder, FakePreprocessor
from ml_api.errors import DeadlineExceeded, ModelOutOfMemory, ModelUnavailable, NonFiniteVector
from ml_api.logs import EcsFormatter
from ml_api.metrics import Metrics
from ml_api.records import Vectors

PATIENCE_S = 30.0


class GatedEncoder(FakeEncoder):
    """Lets the test hold the model shut, see which batches enter it, and poison single inputs by a token."""

    def __init__(self, concurrency: int = 1) -> None:
        super().__init__()
        self._concurrency = concurrency
        self.entered = threading.Semaphore(0)
        self.gate = threading.Event()
        self.gate.set()
        self.batches: list[tuple[str, list[int]]] = []
        self.poison: dict[int, BaseException] = {}
        self.fits = 1000

    @property
    def concurrency(self) -> int:
        return self._concurrency

    def embed(self, items: Sequence[Prepared]) -> Vectors:
        tokens = [int(item.features.flat[0]) for item in items]
        self.batches.append((items[0].modality, tokens))
        self.entered.release()
        assert self.gate.wait(PATIENCE_S)
        if len(items) > self.fits:
            raise ModelOutOfMemory
        for token in tokens:
            if token in self.poison:
                raise self.poison[token]
        rows = np.zeros((len(items), self.model.dim), dtype=np.float32)
        rows[range(len(items)), [token % self.model.dim for token in tokens]] = 1
        return rows


class Queue:
    """A BatchingEncoder over a gated model, with callers in threads of their own."""

    def __init__(self, max_batch: int = 8, model: GatedEncoder | None = None) -> None:
        self.model = model or GatedEncoder()
        self.metrics = Metrics()
        self.batching = BatchingEncoder(self.model, self.metrics, max_batch=max_batch)
        self._pool = ThreadPoolExecutor(64)

    def send(self, token: int, modality: str = "text", timeout_s: float = PATIENCE_S) -> Future[Embedded]:
        """Returns when the input is in the queue, so that the order of calls is the order of arrival."""
        before, context = self._arrived(), contextvars.copy_context()
        sent = self._pool.submit(context.run, self.batching.embed_one, Prepared(modality, np.array([token])), timeout_s)
        changed = self.batching._queue._changed
        with changed:
            assert changed.wait_for(lambda: self._arrived() > before or sent.done(), PATIENCE_S)
        return sent

    def _arrived(self) -> int:
        return self.depth("text") + self.depth("image")

    def hold(self, token: int = 1) -> Future[Embedded]:
        """Shut the gate with one input inside, so that what follows has to queue."""
        self.model.gate.clear()
        held = self._pool.submit(self.batching.embed_one, Prepared("text", np.array([token])), PATIENCE_S)
        assert self.model.entered.acquire(timeout=PATIENCE_S)
        return held

    def depth(self, modality: str) -> int:
        return int(self.sample("ml_api_embed_queue_depth", modality=modality))

    def sample(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0

    def outcomes(self, outcome: str) -> float:
        return self.sample("ml_api_embed_items_total", modality="text", outcome=outcome)


@contextmanager
def open_queue(**options: int):
    queue = Queue(**options)
    try:
        yield queue
    finally:
        queue.model.gate.set()
        queue.batching.close()
        queue._pool.shutdown()


def test_an_idle_model_takes_a_single_input_at_once():
    with open_queue() as queue:
        answer = queue.batching.embed_one(Prepared("text", np.array([5])), PATIENCE_S)

        assert answer.vector[5] == 1
        assert answer.queue_s >= 0
        assert answer.embed_s > 0
        assert queue.model.batches == [("text", [5])]


def test_what_waited_together_goes_through_together_in_the_order_of_arrival():
    with open_queue(max_batch=3) as queue:
        held = queue.hold()
        waiting = [queue.send(token) for token in (2, 3, 4, 5)]
        queue.model.gate.set()

        assert [int(np.argmax(answer.result(PATIENCE_S).vector)) for answer in [held, *waiting]] == [1, 2, 3, 4, 5]
        assert queue.model.batches == [("text", [1]), ("text", [2, 3, 4]), ("text", [5])]
        assert queue.sample("ml_api_embed_batch_size_sum", modality="text") == 5
        assert queue.outcomes("ok") == 5


def test_a_batch_is_of_one_modality_and_the_oldest_input_chooses_which():
    with open_queue() as queue:
        queue.hold()
        answers = [queue.send(token, modality) for token, modality in ((2, "image"), (3, "text"), (4, "image"), (5, "text"))]
        queue.model.gate.set()

        for answer in answers:
            answer.result(PATIENCE_S)
        assert queue.model.batches == [("text", [1]), ("image", [2, 4]), ("text", [3, 5])]


def test_a_stream_of_text_does_not_starve_an_image():
    with open_queue(max_batch=2) as queue:
        queue.hold()
        answers = [queue.send(token, "image" if token == 4 else "text") for token in range(2, 9)]
        queue.model.gate.set()

        for answer in answers:
            answer.result(PATIENCE_S)
        assert [modality for modality, _ in queue.model.batches][:3] == ["text", "text", "image"]


def test_a_caller_that_gave_up_frees_its_place_and_never_reaches_the_model():
    with open_queue() as queue:
        queue.hold()
        with pytest.raises(DeadlineExceeded, match=r"^The model was too busy to answer within the 0\.00988 s that were left\.$"):
            queue.batching.embed_one(Prepared("text", np.array([2])), 0.0098765)

        assert queue.depth("text") == 0
        follower = queue.send(3)
        queue.model.gate.set()
        follower.result(PATIENCE_S)
        assert queue.model.batches == [("text", [1]), ("text", [3])]
        assert queue.outcomes("expired") == 1


def test_a_caller_whose_input_is_in_the_model_when_time_is_up_is_told_so():
    with open_queue() as queue:
        queue.model.gate.clear()
        late = queue._pool.submit(queue.batching.embed_one, Prepared("text", np.array([2])), 0.01)

        assert isinstance(late.exception(PATIENCE_S), DeadlineExceeded)
        queue.model.gate.set()
        assert queue.batching.embed_one(Prepared("text", np.array([3])), PATIENCE_S).vector[3] == 1
        assert queue.outcomes("ok") + queue.outcomes("expired") == 2


@pytest.mark.parametrize("poisoned", [{2}, {5}, {3, 4}, {2, 3, 4, 5, 6}])
def test_only_the_sender_of_a_poisonous_input_gets_the_error(poisoned):
    with open_queue() as queue:
        queue.model.poison = {token: ValueError("secret path") for token in poisoned}
        queue.hold()
        answers = {token: queue.send(token) for token in (2, 3, 4, 5, 6)}
        queue.model.gate.set()

        for token, answer in answers.items():
            failure = answer.exception(PATIENCE_S)
            if token in poisoned:
                assert isinstance(failure, ModelUnavailable)
                assert "secret" not in str(failure)
                assert isinstance(failure.__cause__, ValueError)
            else:
                assert answer.result().vector[token] == 1
        assert queue.outcomes("error") == len(poisoned)
        queue.batching.ping()


def test_running_out_of_memory_is_counted_apart():
    with open_queue() as queue:
        queue.model.poison = {2: ModelOutOfMemory()}

        with pytest.raises(ModelUnavailable, match="memory"):
            queue.batching.embed_one(Prepared("text", np.array([2])), PATIENCE_S)
        assert queue.outcomes("oom") == 1


def test_if_the_thread_dies_everybody_is_told_and_the_log_says_why(caplog):
    with open_queue() as queue:
        queue.model.poison = {1: SystemExit("the model took the thread with it")}
        inside = queue.hold()
        outside = queue.send(2, "image")
        queue.model.gate.set()

        for answer in (inside, outside):
            assert isinstance(answer.exception(PATIENCE_S), ModelUnavailable)
        with pytest.raises(ModelUnavailable):
            queue.batching.ping()
        with pytest.raises(ModelUnavailable):
            queue.batching.embed_one(Prepared("text", np.array([3])), PATIENCE_S)
        queue.batching._threads[0].join(PATIENCE_S)
        [record] = [record for record in caplog.records if record.levelname == "CRITICAL"]
        assert "SystemExit: the model took the thread with it" in caplog.text
        assert "died" in record.message


def test_work_whose_time_ran_out_while_its_batch_failed_never_reaches_the_model_again():
    with open_queue() as queue:
        queue.model.poison = {2: ValueError("poison")}
        queue.hold()
        poisoned, late = queue.send(2), queue.send(3, timeout_s=1.0)
        queue.model.gate.set()
        assert queue.model.entered.acquire(timeout=PATIENCE_S)  # the batch of both is in the model, or has failed there

        assert isinstance(poisoned.exception(PATIENCE_S), ModelUnavailable)
        late.exception(PATIENCE_S)
        assert queue.outcomes("ok") + queue.outcomes("expired") == 2


def test_running_out_of_memory_halves_batches_from_then_on_and_loses_nothing():
    with open_queue() as queue:
        queue.model.fits = 3
        for tokens in (range(2, 10), range(10, 15)):
            answers = [queue.hold(), *(queue.send(token) for token in tokens)]
            queue.model.gate.set()
            assert [int(np.argmax(answer.result(PATIENCE_S).vector)) for answer in answers] == [1, *tokens]
            while queue.model.entered.acquire(blocking=False):
                pass

        sizes = [len(tokens) for _, tokens in queue.model.batches]
        assert sizes == [1, 8, 4, 2, 2, 2, 2, 1, 2, 2, 1]
        assert queue.outcomes("ok") == 15
        assert queue.outcomes("oom") == 0


def test_a_model_that_answers_with_too_few_vectors_leaves_nobody_waiting():
    class Short(FakeEncoder):
        def embed(self, items: Sequence[Prepared]) -> Vectors:
            return np.zeros((0, self.model.dim), dtype=np.float32)

    batching = BatchingEncoder(Short(), Metrics())
    with pytest.raises(ModelUnavailable):
        batching.embed_one(Prepared("text", np.array([1])), PATIENCE_S)
    batching.ping()
    batching.close()


def test_closing_finishes_what_is_in_the_model_and_refuses_what_waits():
    with open_queue() as queue:
        inside, outside = queue.hold(), queue.send(2)
        closing = queue._pool.submit(queue.batching.close)
        changed = queue.batching._queue._changed
        with changed:
            assert changed.wait_for(lambda: queue.batching._queue.closed, PATIENCE_S)
        queue.model.gate.set()

        closing.result(PATIENCE_S)
        assert inside.result(PATIENCE_S).vector[1] == 1
        assert isinstance(outside.exception(PATIENCE_S), ModelUnavailable)
        assert not queue.batching._threads[0].is_alive()


def test_closing_does_not_wait_for_ever_for_a_stuck_model():
    with open_queue() as queue:
        queue.hold()
        outside = queue.send(2)
        queue.batching.close(timeout_s=0)

        assert isinstance(outside.exception(PATIENCE_S), ModelUnavailable)


def test_closing_twice_is_once():
    batching = BatchingEncoder(FakeEncoder(), Metrics())
    batching.close()
    batching.close()

    with pytest.raises(ModelUnavailable):
        batching.embed_one(FakePreprocessor().prepare_text("late"), PATIENCE_S)


def test_many_callers_each_get_their_own_vector():
    with open_queue(max_batch=7) as queue:
        with ThreadPoolExecutor(32) as callers:
            tokens = [number % queue.model.model.dim for number in range(600)]
            prepared = [Prepared("image" if token % 3 else "text", np.array([token])) for token in tokens]
            answers = list(callers.map(lambda item: queue.batching.embed_one(item, PATIENCE_S), prepared))

        assert [int(np.argmax(answer.vector)) for answer in answers] == tokens
        assert queue.depth("text") == queue.depth("image") == 0


def test_a_model_that_has_a_use_for_it_takes_several_batches_at_once():
    model = GatedEncoder(concurrency=2)
    model.gate.clear()
    without_fixed_part = PassCost(0.0, 0.001)
    batching = BatchingEncoder(model, Metrics(), costs={"text": without_fixed_part, "image": without_fixed_part})
    try:
        with ThreadPoolExecutor(2) as pool:
            answers = []
            for token in (1, 2):  # the second enters while the first is inside
                answers.append(pool.submit(batching.embed_one, Prepared("text", np.array([token])), PATIENCE_S))
                assert model.entered.acquire(timeout=PATIENCE_S)
            model.gate.set()
            assert [int(answer.result(PATIENCE_S).vector.argmax()) for answer in answers] == [1, 2]
    finally:
        model.gate.set()
        batching.close()


@pytest.mark.parametrize("error", [ValueError("poison"), ModelOutOfMemory("no memory")], ids=["poison", "out of memory"])
def test_a_batch_that_fails_is_logged_with_the_ids_of_its_requests(error):
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(EcsFormatter("testing"))
    logging.getLogger("ml_api").addHandler(handler)
    with open_queue() as queue:
        queue.model.poison[3] = error
        queue.hold()
        for token in (2, 3):
            with tracing.on_behalf_of([tracing.request_origin(f"request-{token}", None)]):
                sent = queue.send(token)
        queue.model.gate.set()
        assert isinstance(sent.exception(PATIENCE_S), ModelUnavailable)
    logging.getLogger("ml_api").removeHandler(handler)
    [line] = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert line["http.request.id"] == ["request-2", "request-3"]
    assert len(line["trace.id"]) == len(line["span.id"]) == 2
    assert line["process.thread.name"] == "embed"


def test_a_vector_that_is_not_finite_is_its_senders_alone():
    class Spoiling(GatedEncoder):
        def embed(self, items):
            rows = super().embed(items)
            rows[[int(item.features.flat[0]) == 3 for item in items]] = np.inf
            return rows

    with open_queue(model=Spoiling()) as queue:
        queue.hold()
        sent = [queue.send(token) for token in (2, 3, 4)]
        queue.model.gate.set()
        assert type(sent[1].exception(PATIENCE_S)) is NonFiniteVector
        assert all(one.result(PATIENCE_S).batch_size in {1, 2} for one in (sent[0], sent[2]))
        assert queue.sample("ml_api_embedding_nonfinite_total", modality="text") == 1
        assert queue.outcomes("error") == 1
        assert queue.sample("ml_api_embedding_norm_sum", modality="text") == 3
