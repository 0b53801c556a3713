"""The parent's side: an `Encoder` whose passes run in a child, which is started again when it dies."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from ml_api.embedding.base import Prepared, Preparer
from ml_api.embedding.child.messages import Load, Loaded
from ml_api.embedding.child.process import Child
from ml_api.embedding.pretrained import PretrainedModel
from ml_api.embedding.wrapper import PreparedBy
from ml_api.errors import ModelUnavailable
from ml_api.records import ModelInfo, Vectors

RESTART_AFTER_S: Final = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Before each attempt to bring it back; the last again and again."""
PASS_TIMEOUT_S: Final = 120.0
"""The largest batch takes a minute on a slow processor."""
CLOSE_TIMEOUT_S: Final = 15.0

_log = logging.getLogger(__name__)


class ChildEncoder(PreparedBy):
    """While the child is away, every `embed` raises ModelUnavailable at once."""

    def __init__(
        self,
        prepare: Callable[[], Preparer],
        load: Load,
        find: Callable[[], PretrainedModel],
        *,
        pass_timeout_s: float = PASS_TIMEOUT_S,
    ) -> None:
        """Returns when the model is loaded. Raises ConfigError, ModelUnavailable.

        `prepare` makes the preparer, which takes seconds, while the child loads the model, which takes as long. Before it is loaded
        again `find` looks what it is by then. A model that is no longer the same is not served: its vectors could not be compared
        with those that are stored.
        """
        self._load = load
        self._find = find
        self._pass_timeout_s = pass_timeout_s
        self._child, self._loaded = self._start(load, lambda: PreparedBy.__init__(self, prepare()))
        self._memory: Mapping[str, tuple[int, int]] = {}
        self._changing = threading.Lock()
        self._closing = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="model", daemon=True)
        self._keeper.start()

    @property
    def model(self) -> ModelInfo:
        return self._loaded.model

    @property
    def concurrency(self) -> int:
        return self._loaded.concurrency

    @property
    def pid(self) -> int:
        return self._child.pid

    def memory(self) -> Mapping[str, tuple[int, int]]:
        """Of the GPU, if the model is on one, at the last pass: bytes in tensors, and bytes that torch keeps for them."""
        return self._memory

    def embed(self, items: Sequence[Prepared]) -> Vectors:
        answer = self._child.ask(items)
        if answer.vectors is None:
            raise ModelUnavailable(answer.detail, code=answer.code)
        return answer.vectors

    def close(self) -> None:
        with self._changing:
            self._closing.set()
        self._child.close()
        self._keeper.join(CLOSE_TIMEOUT_S)

    def _keep(self) -> None:
        while True:
            how = self._child.listen(self._remember)
            if self._closing.is_set():
                return
            _log.error("the model's process %s; it is started again", how)
            if not self._start_again():
                return

    def _start_again(self) -> bool:
        """Until it is there. False when there is no more use for it."""
        attempt = 0
        while not self._closing.wait(RESTART_AFTER_S[min(attempt, len(RESTART_AFTER_S) - 1)]):
            attempt += 1
            try:
                child, _ = self._start(self._same())
            except Exception as exc:  # noqa: BLE001 - no memory, no files: whatever it is, it may be over at the next attempt
                _log.error("the model's process cannot be started again: %s", exc)
                continue
            with self._changing:
                if not self._closing.is_set():
                    self._child = child
                    _log.info("the model is back")
                    return True
            child.close()
        return False

    def _same(self) -> Load:
        found = self._find()
        if found.model_id != self.model.model_id:
            raise ModelUnavailable(f"The model is {found.model_id} now, and was {self.model.model_id}; restart me.")
        return replace(self._load, pretrained=found)

    def _start(self, load: Load, meanwhile: Callable[[], None] = lambda: None) -> tuple[Child, Loaded]:
        child = Child(self._pass_timeout_s)
        try:
            child.load(load)
            meanwhile()
            return child, child.await_model()
        except BaseException:
            child.close()
            raise

    def _remember(self, memory: Mapping[str, tuple[int, int]]) -> None:
        self._memory = memory
