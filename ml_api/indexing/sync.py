"""Runs a plan: threads read and decode, others embed full batches, another writes them.

Memory stays flat whatever the size of the corpus, because every stage is bounded: a fixed number of files is being read, one batch
in each of the model's passes, one written. Every step is an upsert or a delete by id, and removals come last, so a sync that died
at any point is completed by running it again.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from itertools import islice

import numpy as np

from ml_api.corpus.base import Corpus
from ml_api.embedding.base import Encoder, Preprocessor
from ml_api.images import Decoder
from ml_api.indexing import guard
from ml_api.indexing.account import Account, Progress
from ml_api.indexing.embedding import EmbeddedFiles, FileEmbedder
from ml_api.indexing.failures import Failures
from ml_api.indexing.guard import Consent
from ml_api.indexing.plan import Plan, Task, make_plan
from ml_api.indexing.reading import FileReader, Fresh, Known, Unusable
from ml_api.indexing.report import SyncReport
from ml_api.metrics import Metrics
from ml_api.metrics.sync import SyncMetrics
from ml_api.records import ImageRecord, Vectors, image_id
from ml_api.vectors.base import VectorStore
from ml_api.vocabulary import SyncOutcome, SyncStage

BATCH = 32
READERS = 2
"""Decoding threads. The model takes every core it is given; more readers than this only fight it for them."""
READ_AHEAD = 2 * BATCH
REMOVE_AT_ONCE = 1000


class Indexer:
    """`load_model` is called only by a run that has something to read, so that an idle sync never waits for a model."""

    def __init__(  # noqa: PLR0913 - the parts between which a sync stands
        self,
        corpus: Corpus,
        store: VectorStore,
        load_model: Callable[[], tuple[Preprocessor, Encoder]],
        decoder: Decoder,
        metrics: Metrics,
        *,
        failures: Failures | None = None,
    ) -> None:
        """`failures` are those of earlier syncs; without, none is known."""
        self._corpus = corpus
        self._store = store
        self._load_model = load_model
        self._decoder = decoder
        self._measured = metrics.sync
        self._failures = failures or Failures()

    def plan(self, consent: Consent = Consent()) -> Plan:  # noqa: B008 - frozen
        """What there is to do. Raises SyncRefused if it looks like an accident that `consent` does not cover; see `guard.check`."""
        self._measured.begin()
        with self._measured.stage(SyncStage.PLAN):
            plan = make_plan(self._corpus, self._store, self._failures)
            guard.check(plan, self._store.source(), consent)
        self._measured.backlog.set(len(plan.tasks) + len(plan.removed))
        return plan

    def run(self, plan: Plan, progress: Progress = lambda _report: None, stop: Callable[[], bool] = lambda: False) -> SyncReport:
        """Carry out `plan`, calling `progress` once the model is loaded and after every batch, until `stop` says so.

        Raises Unavailable; what was done until then stays done.
        """
        started = time.monotonic()
        account = Account(plan, self._failures, self._measured, progress)
        run = _Run(self._store, plan, account, self._measured, stop)
        try:
            if self._store.source() != plan.location:
                self._store.set_source(plan.location)
            run.leave_out_known(plan)
            if plan.tasks:
                preprocessor, encoder = self._load_model()
                account.tell()
                run.index(FileReader(self._corpus, self._decoder, preprocessor, plan.reusable), encoder)
            account.report.stopped = stop()
            if not account.report.stopped:
                run.remove()
        finally:
            account.tell()
            self._failures.save()
        account.report.seconds = time.monotonic() - started
        if not account.report.stopped and not account.report.model_failed:
            self._measured.succeeded()
        return account.report


class _Run:
    """One sync under way: what waits for a full batch, what is being written, what is to be removed at the end."""

    def __init__(self, store: VectorStore, plan: Plan, account: Account, measured: SyncMetrics, stop: Callable[[], bool]) -> None:
        self._store = store
        self._measured = measured
        self._tasks = plan.tasks
        self._account = account
        self._stop = stop
        self._removed = {entry.id for entry in plan.removed}
        self._gone: set[str] = set()
        self._fresh: list[Fresh] = []
        self._known: list[Known] = []
        self._written: tuple[Future[None], list[SyncOutcome]] | None = None

    def leave_out_known(self, plan: Plan) -> None:
        for task, reason in plan.failed:
            self._leave_out(Unusable(task, reason, gone=True, lasting=True))

    def index(self, reader: FileReader, encoder: Encoder) -> None:
        def read(task: Task) -> Fresh | Known | Unusable:
            with self._measured.stage(SyncStage.READ):
                return reader.read(task)

        with (
            ThreadPoolExecutor(READERS, "sync-read") as readers,
            FileEmbedder(encoder, self._measured) as model,
            ThreadPoolExecutor(1, "sync-write") as writer,
        ):
            try:
                for result in _ahead(readers, read, self._tasks):
                    if self._stop():
                        break
                    self._take(result)
                    if len(self._fresh) == BATCH:
                        self._embed(model, writer)
                    if len(self._known) == BATCH:
                        self._take_over(writer)
                else:
                    if self._fresh:
                        self._embed(model, writer)
                    self._store_embedded(model.drain(), writer)
                    self._take_over(writer)
                self._await_write()
            finally:
                readers.shutdown(wait=False, cancel_futures=True)

    def remove(self) -> None:
        """Last of all: until here every vector that a moved file takes over is still stored."""
        with self._measured.stage(SyncStage.REMOVE):
            for ids in _batches(sorted(self._removed | self._gone), REMOVE_AT_ONCE):
                self._store.delete(ids)
            self._store.flush()
        self._account.add([SyncOutcome.REMOVED] * len(self._removed))

    def _take(self, result: Fresh | Known | Unusable) -> None:
        match result:
            case Fresh():
                self._fresh.append(result)
            case Known():
                self._known.append(result)
            case Unusable():
                self._leave_out(result)

    def _leave_out(self, file: Unusable) -> None:
        self._account.fail(file)
        if file.gone and file.task.stored is not None:
            self._gone.add(file.task.stored.id)

    def _embed(self, model: FileEmbedder, writer: Executor) -> None:
        files, self._fresh = self._fresh, []
        self._store_embedded(model.submit(files), writer)

    def _store_embedded(self, parts: Iterable[EmbeddedFiles], writer: Executor) -> None:
        for part in parts:
            if part.vectors is None:  # remembered it would stay out, though it may be the model that is broken
                self._account.report.without_vector += 1
                self._leave_out(Unusable(part.files[0].task, part.reason, gone=True, lasting=False))
                continue
            self._account.report.embedded += len(part.files)
            outcomes = [SyncOutcome.ADDED if file.task.stored is None else SyncOutcome.REPLACED for file in part.files]
            self._write(writer, [file.record for file in part.files], part.vectors, outcomes)

    def _take_over(self, writer: Executor) -> None:
        if not self._known:
            return
        ids = list({file.source.id for file in self._known})
        records, vectors = self._store.get(ids), self._store.vectors(ids)
        rows = np.stack([vectors[file.source.id] for file in self._known])
        outcomes = [self._outcome(file, records[file.source.id]) for file in self._known]
        self._write(
            writer,
            [_readdressed(replace(records[file.source.id], phash=file.phash), file.task) for file in self._known],
            rows,
            outcomes,
        )
        self._known = []

    def _outcome(self, file: Known, source: ImageRecord) -> SyncOutcome:
        """Equal bytes under the same key are the same image; a removed entry's bytes under a new key have moved, once."""
        if file.task.stored is not None:
            same = file.source.id == file.task.stored.id and source.metadata == file.task.metadata
            return SyncOutcome.UNCHANGED if same else SyncOutcome.REPLACED
        if file.source.id in self._removed:
            self._removed.remove(file.source.id)
            self._gone.add(file.source.id)
            self._account.report.total -= 1  # one file, though it was both a task and a removal
            return SyncOutcome.MOVED
        return SyncOutcome.DUPLICATE

    def _write(self, writer: Executor, records: list[ImageRecord], vectors: Vectors, outcomes: list[SyncOutcome]) -> None:
        """Start writing a batch, once the one before it is written: a failure shows before more work is done."""
        self._await_write()

        def write() -> None:
            with self._measured.stage(SyncStage.WRITE):
                self._store.upsert(records, vectors)

        self._written = writer.submit(copy_context().run, write), outcomes

    def _await_write(self) -> None:
        if self._written is not None:
            (written, outcomes), self._written = self._written, None
            written.result()
            self._account.add(outcomes)


def _readdressed(source: ImageRecord, task: Task) -> ImageRecord:
    """The record of the image that `source` describes, as the file of `task`."""
    return replace(
        source, id=image_id(task.key), key=task.key, version=task.version, metadata=task.metadata, indexed_at=time.time()
    )


def _ahead(
    readers: Executor, read: Callable[[Task], Fresh | Known | Unusable], tasks: Iterable[Task]
) -> Iterator[Fresh | Known | Unusable]:
    """Results in order, with READ_AHEAD files being read at most."""
    waiting = iter(tasks)
    reading = deque(readers.submit(copy_context().run, read, task) for task in islice(waiting, READ_AHEAD))
    while reading:
        result = reading.popleft().result()
        for task in islice(waiting, 1):
            reading.append(readers.submit(copy_context().run, read, task))
        yield result


def _batches(ids: list[str], size: int) -> Iterator[list[str]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))
