"""Switches the model of a running service.

Both models are in memory from the load of the new one until the last request that began with the old one has ended. Searches are
not locked out: a request keeps the engine that it began with.

The switch happens when the alias of the collection moves. An error before that leaves the old model in use and closes the new one;
an error after it is logged, and undoes nothing.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from ml_api.embedding.batching import BatchingEncoder, BulkEncoder
from ml_api.errors import MlApiError, StoreUnavailable, SyncRefused
from ml_api.indexing.jobs import Operation, SyncOptions
from ml_api.indexing.jobs.execution import Follower
from ml_api.indexing.jobs.heartbeat import Heartbeat
from ml_api.indexing.migration import Migration
from ml_api.indexing.recorder import Progress
from ml_api.indexing.report import SyncReport
from ml_api.indexing.sync import Indexer
from ml_api.metrics import Metrics
from ml_api.services.engine import Engine, Shared, WarmModel, build_engine, open_coalescing_store, warm_model
from ml_api.services.migration import (
    drop_others,
    generation_of,
    in_use_already,
    model_setting,
    not_switched,
    prepare,
    replaced,
)
from ml_api.settings import Settings
from ml_api.vectors.base import Generations
from ml_api.vocabulary import JobKind

if TYPE_CHECKING:
    from ml_api.embedding.pretrained import PretrainedModel
    from ml_api.vectors.milvus import MilvusStore

OVER_S: Final = 2.0
"""How long after its time limit a request may still hold the model that it began with."""
LOOK_S: Final = 0.05
"""Interval of the check whether requests still use it."""
ASK_AGAIN_S: Final = 1.0
"""How often a store that does not answer is asked which model is in use."""

Warm = Callable[[Settings, "PretrainedModel", Metrics, BatchingEncoder], WarmModel]
"""Loads a model and warms it up beside the one in use. Raises ConfigError."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A model that may be switched to, and the store of its vectors."""

    model: WarmModel
    setting: str
    milvus: "MilvusStore"


class ModelSwitch:
    """Holds the engine in use, and replaces it. Used by one thread at a time, that of the jobs."""

    def __init__(
        self, shared: Shared, engine: Engine, heartbeat: Heartbeat, warm: Warm = warm_model, *, ask_again_s: float = ASK_AGAIN_S
    ) -> None:
        self.engine = engine
        """The engine in use, which requests read when they begin."""
        self._shared = shared
        self._heartbeat = heartbeat
        self._warm = warm
        self._ask_again_s = ask_again_s
        self._closing = threading.Event()

    def close(self) -> None:
        """End the background tasks of the engine in use, and stop waiting for requests. Safe to call twice."""
        self._closing.set()
        self.engine.work.close()

    @contextmanager
    def open_indexer(self, options: SyncOptions) -> Iterator[Indexer]:
        with self.engine.indexing.open(options) as indexer:
            yield indexer

    def run(self, operation: Operation, follower: Follower) -> list[str]:
        """Migrations of all kinds, as `execution.RunOperation`. Raises SyncRefused, ConfigError and Unavailable."""
        match operation.kind:
            case JobKind.ROLL_BACK:
                return self._migrate(self._replaced(), follower, switch=True)
            case JobKind.DROP_OLD:
                return self._drop_old()
        return self._migrate(operation.model, follower, switch=operation.switch)

    def _replaced(self) -> str:
        """The setting of the model that was in use before. Raises SyncRefused."""
        before = replaced(self.engine.milvus.generations())
        if not before.setting:
            raise SyncRefused(f"where to find {before.model_id} is not known: `migrate --model` with its name goes back to it")
        return before.setting

    def _drop_old(self) -> list[str]:
        lines = list[str]()
        drop_others(self.engine.milvus.generations(), lines.append)
        return lines

    def _migrate(self, model: str, follower: Follower, *, switch: bool) -> list[str]:
        from ml_api.embedding.pretrained import resolve

        settings = self._shared.settings.model_copy(update={"model": model})
        pretrained = resolve(settings.model, settings.text_model)
        generations = self.engine.milvus.generations()
        current = generations.current()
        fields = self.engine.milvus.fields
        if (pretrained.model_id, pretrained.dim, fields) == (current.model_id, current.dim, current.fields):
            return [in_use_already(current)]
        lines = list[str]()
        with ExitStack() as undo:
            milvus = self.engine.milvus.beside(pretrained.model_id, pretrained.dim)
            undo.callback(milvus.close)
            wanted = generation_of(generations, pretrained, fields)
            warm = self._warm(settings, pretrained, self._shared.metrics, self.engine.embedder)
            undo.callback(warm.embedder.close)
            candidate = _Candidate(warm, model_setting(settings), milvus)
            generations.note_setting(wanted, candidate.setting)
            migration = Migration(generations, self.engine.milvus, milvus, current, wanted, self._indexer(candidate))
            if not prepare(migration, _telling(follower), follower.stop, lines.append):
                return [f"stopped; {current.model_id} is in use, and what was embedded is kept"]
            if not switch:
                return [*lines, not_switched(current)]
            after = self._take_over(migration, candidate)
            undo.pop_all()
        self._use(after, candidate.model)
        return [*lines, f"{wanted.model_id} is in use now; set ML_API_MODEL={candidate.setting} before the next start"]

    def _indexer(self, candidate: _Candidate) -> Indexer:
        preprocessor, encoder = candidate.model.preprocessor, BulkEncoder(candidate.model.embedder)
        shared = self._shared
        return Indexer(shared.corpus, candidate.milvus, lambda: (preprocessor, encoder), shared.decoder, Metrics())

    def _take_over(self, migration: Migration, candidate: _Candidate) -> Engine:
        """Put the vectors of the new model to use; returns its engine. If it raises, the old model is still in use."""
        before = self.engine.milvus
        with ExitStack() as undo:
            store = open_coalescing_store(self._shared, candidate.milvus, candidate.model.pretrained)
            undo.callback(store.close)
            after = build_engine(self._shared, candidate.model, candidate.milvus, store)
            undo.callback(after.close)
            before.stop_writes()
            undo.callback(before.resume_writes)
            migration.take_over_edits()
            self._move_alias(migration)
            undo.pop_all()
        return after

    def _move_alias(self, migration: Migration) -> None:
        try:
            migration.generations.switch(migration.wanted)
        except MlApiError as exc:  # the store may have done it, and not said so
            if self._in_use(migration.generations) != migration.wanted.name:
                raise
            _log.warning("%s is in use, though the store failed to say so: %s", migration.wanted.model_id, exc.detail)

    def _in_use(self, generations: Generations) -> str:
        """The name of the generation in use. Waits until the store answers: until then, no writer knows the collection."""
        while True:
            try:
                return generations.current().name
            except StoreUnavailable:
                if self._closing.wait(self._ask_again_s):
                    raise

    def _use(self, after: Engine, model: WarmModel) -> None:
        """Replace the engine. The one before is closed when no request uses it, or after the time limit of requests."""
        before, self.engine = self.engine, after
        for step in (
            partial(self._heartbeat.embeds_with, model.pretrained.model_id),
            before.work.close,
            partial(after.start, self._shared.changes),
            partial(model.measured_by, self._shared.metrics),
            partial(self._retire, before),
        ):
            try:
                step()
            except Exception:  # noqa: BLE001 - the alias is moved: there is no way back
                _log.exception("%s is in use, though not all that follows was done", model.pretrained.model_id)

    def _retire(self, before: Engine) -> None:
        """Close an engine when its requests have ended; at once while the service stops, whose jobs have three seconds."""
        until = time.monotonic() + self._shared.settings.request_timeout_s + OVER_S
        while before.requests.number and time.monotonic() < until and not self._closing.wait(LOOK_S):
            pass
        before.close()


def _telling(follower: Follower) -> Callable[[int], AbstractContextManager[Progress]]:
    def follow(total: int) -> AbstractContextManager[Progress]:
        def advance(report: SyncReport) -> None:
            follower.progress(report.done, report.total)

        follower.progress(0, total)
        return nullcontext(advance)

    return follow
