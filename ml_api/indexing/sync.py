"""Runs a plan: threads read and decode, others embed full batches, another writes them.

Memory stays flat, because every stage is bounded: a fixed number of files is being read, one batch in each of the model's passes,
one written. Every step is an upsert or a delete by id, and removals come last, but for images that moved, which go with the write
under their new keys: a sync that died is completed by the next.
"""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np

from ml_api.batched import batched
from ml_api.corpus.base import Corpus
from ml_api.embedding.base import Encoder, Preprocessor
from ml_api.images import Decoder
from ml_api.indexing import guard
from ml_api.indexing.batch_writer import BatchWriter
from ml_api.indexing.edits import Superseded, delete_unchanged, is_unchanged, none_superseded, with_stored_edits
from ml_api.indexing.embedding import EmbeddedFiles, FileEmbedder
from ml_api.indexing.failures import Failures
from ml_api.indexing.guard import Consent
from ml_api.indexing.moves import successors, with_bytes
from ml_api.indexing.plan import Plan, make_plan
from ml_api.indexing.preview import Preview, preview
from ml_api.indexing.reading import FileReader, Fresh, Known, Unusable, read_ahead
from ml_api.indexing.recorder import Progress, SyncRecorder
from ml_api.indexing.report import NO_REPORT, FileOutcome, Report, SyncReport
from ml_api.indexing.tasks import AT_ONCE, BATCH, LEAVING, EntryState, Reason, Task
from ml_api.metrics import Metrics
from ml_api.metrics.sync import SyncMetrics
from ml_api.records import Entry, ImageRecord, image_id
from ml_api.vectors.base import VectorStore
from ml_api.vocabulary import ReasonCode, SyncOutcome, SyncStage

READERS = 2
"""Decoding threads. The model takes every core it is given; more readers than this only fight it for them."""
NO_FAILURES = Failures()


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
        failures: Failures = NO_FAILURES,
        superseded: Superseded = none_superseded,
        rehash: bool = False,
    ) -> None:
        """`failures` are those of earlier syncs. Keys that are `superseded` by changes are not written."""
        self._corpus = corpus
        self._store = store
        self._load_model = load_model
        self._decoder = decoder
        self._measured = metrics.sync
        self._failures = failures
        self._superseded = superseded
        self._rehash = rehash

    def plan(self, consent: Consent = Consent()) -> Plan:  # noqa: B008 - frozen
        """What there is to do; run it, or close it.

        Raises SyncRefused if it looks like an accident that `consent` does not cover (see `guard.objection`), and Unavailable.
        """
        self._measured.begin()
        with self._measured.stage(SyncStage.PLAN):
            plan = make_plan(self._corpus, self._store, self._failures, rehash=self._rehash)
            try:
                guard.check(plan, self._store.source(), consent)
            except BaseException:
                plan.close()
                raise
        self._measured.backlog.set(plan.to_read + plan.removed)
        return plan

    def preview(self, consent: Consent) -> Preview:
        """What `plan` and `run` would do."""
        return preview(self._corpus, self._store, self._failures, consent, rehash=self._rehash)

    def run(
        self,
        plan: Plan,
        progress: Progress = lambda _report: None,
        stop: Callable[[], bool] = lambda: False,
        files: Report = NO_REPORT,
    ) -> SyncReport:
        """Carry out `plan`, calling `progress` once the model is loaded and after every batch, until `stop` says so.

        Closes the plan. Raises Unavailable; what was done until then stays done.
        """
        with closing(plan):
            return self._run(plan, SyncRecorder(plan, self._failures, self._measured, progress, files), stop)

    def _run(self, plan: Plan, recorder: SyncRecorder, stop: Callable[[], bool]) -> SyncReport:
        started = time.monotonic()
        run = _Run(self._store, plan, recorder, self._measured, stop, self._superseded)
        try:
            if self._store.source() != plan.location:
                self._store.set_source(plan.location)
            self._failures.forget_others(plan.still_failing)
            run.leave_out_known()
            if plan.to_read:
                preprocessor, encoder = self._load_model()
                recorder.publish()
                run.index(FileReader(self._corpus, self._decoder, preprocessor, plan.ledger.source), encoder)
            recorder.report.stopped = stop()
            if not recorder.report.stopped:
                run.remove()
        finally:
            recorder.publish()
            recorder.write()
        recorder.report.seconds = time.monotonic() - started
        if not recorder.report.stopped and not recorder.report.model_failed:
            self._measured.succeeded()
        return recorder.report


@dataclass(slots=True)
class _Run:
    """One sync under way: what waits for a full batch, what is to be removed at the end."""

    _store: VectorStore
    _plan: Plan
    _recorder: SyncRecorder
    _measured: SyncMetrics
    _stop: Callable[[], bool]
    _superseded: Superseded
    _fresh: list[Fresh] = field(default_factory=list)
    _known: list[Known] = field(default_factory=list)

    def leave_out_known(self) -> None:
        """What the plan has decided already: files that fail, and entries of folders that could not be listed."""
        for task, reason in self._plan.ledger.failed():
            self._leave_out(Unusable(task, reason, gone=reason.code is not ReasonCode.INVALID_KEY, lasting=False))
        for _, entry in self._plan.ledger.entries(EntryState.UNLISTED):
            why = self._plan.coverage.reason(entry.key) or ""
            self._recorder.count(FileOutcome(entry.key, SyncOutcome.UNLISTED, ReasonCode.UNLISTED, why))

    def index(self, reader: FileReader, encoder: Encoder) -> None:
        def read(task: Task) -> Fresh | Known | Unusable:
            with self._measured.stage(SyncStage.READ):
                return reader.read(task)

        with (
            ThreadPoolExecutor(READERS, "sync-read") as readers,
            FileEmbedder(encoder, self._measured) as model,
            BatchWriter(self._store, self._superseded, self._recorder, self._measured) as writer,
        ):
            try:
                for result in read_ahead(readers, read, self._plan.ledger.tasks()):
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
                    self._store_embedded(model.finish(), writer)
                    self._take_over(writer)
                writer.finish()
            finally:
                readers.shutdown(wait=False, cancel_futures=True)

    def remove(self) -> None:
        """Last of all: until here an image that is gone has its vector for every file with its bytes."""
        with self._measured.stage(SyncStage.REMOVE):
            for leaving in batched(self._plan.ledger.entries(*LEAVING), AT_ONCE):
                delete_unchanged(self._store, [entry for _, entry in leaving], self._superseded)
                removed = (entry.key for state, entry in leaving if state is EntryState.REMOVED)
                self._recorder.add(FileOutcome(key, SyncOutcome.REMOVED) for key in removed)
            self._store.flush()

    def _take(self, result: Fresh | Known | Unusable) -> None:
        match result:
            case Fresh():
                self._fresh.append(result)
            case Known():
                self._known.append(result)
            case Unusable():
                self._leave_out(result)

    def _leave_out(self, file: Unusable) -> None:
        self._recorder.fail(file)
        if file.gone and file.task.stored is not None:
            self._plan.ledger.settle([file.task.key], EntryState.GONE)

    def _embed(self, model: FileEmbedder, writer: BatchWriter) -> None:
        files, self._fresh = self._fresh, []
        self._store_embedded(model.submit(files), writer)

    def _store_embedded(self, parts: Iterable[EmbeddedFiles], writer: BatchWriter) -> None:
        for part in parts:
            if part.vectors is None:  # remembered it would stay out, though it may be the model that is broken
                self._recorder.report.without_vector += 1
                why = Reason(ReasonCode.NOT_FINITE, part.reason)
                self._leave_out(Unusable(part.files[0].task, why, gone=True, lasting=False))
                continue
            self._recorder.report.embedded += len(part.files)
            outcomes = [
                FileOutcome(file.task.key, SyncOutcome.ADDED if file.task.stored is None else SyncOutcome.REPLACED)
                for file in part.files
            ]
            writer.write([file.record for file in part.files], part.vectors, outcomes)

    def _take_over(self, writer: BatchWriter) -> None:
        if not self._known:
            return
        known, self._known = self._known, []
        images = with_bytes(self._store, known)
        there = [file for file in known if file.task.key in images]
        for file in known:
            if file.task.key not in images:
                why = "the image whose vector it could have taken over was removed meanwhile; the next sync reads it"
                self._leave_out(Unusable(file.task, Reason(ReasonCode.CHANGED_MEANWHILE, why), gone=False, lasting=False))
        if there:
            moved = self._moved(there)
            outcomes = [self._outcome(file, images[file.task.key][0], moved.get(file.task.key)) for file in there]
            new = [file.record(images[file.task.key][0]) for file in there]
            vectors = np.stack([images[file.task.key][1] for file in there])
            writer.write(new, vectors, outcomes, {image_id(key): image for key, image in moved.items()})

    def _moved(self, files: Iterable[Known]) -> dict[str, ImageRecord]:
        """By key, the image that has moved there: one that is to be removed, and is still as it was listed."""
        ledger = self._plan.ledger
        files = [file for file in files if file.source.key != file.task.key]
        gone = {entry.id: entry for digest in sorted({file.source.digest for file in files}) for entry in ledger.removed(digest)}
        now = self._store.get(list(gone)) if gone else {}
        still = [image for id_, image in now.items() if is_unchanged(gone[id_], image)]
        moved = successors(still, [(file.task, file.source.digest) for file in files])
        new = [file.task.key for file in files if file.task.stored is None and file.task.key in moved]
        ledger.settle([moved[key].key for key in new], EntryState.MOVED)
        self._recorder.report.total -= len(new)  # each is one file, though it was both a task and a removal
        return moved

    def _outcome(self, file: Known, source: ImageRecord, before: Entry | None) -> FileOutcome:
        """Equal bytes under the same key are the same image."""
        if file.task.stored is not None:
            same = source.id == file.task.stored.id and source.metadata == with_stored_edits(file.record(source), source).metadata
            return FileOutcome(file.task.key, SyncOutcome.UNCHANGED if same else SyncOutcome.REPLACED)
        if before is not None:
            return FileOutcome(file.task.key, SyncOutcome.MOVED, reason=f"was {before.key}")
        return FileOutcome(file.task.key, SyncOutcome.DUPLICATE, reason=f"has the bytes of {source.key}")
