"""Applies the findings of one claim to the index, and settles each key as soon as that is done."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from time import perf_counter
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from ml_api.corpus.base import CorpusFile
from ml_api.errors import DatabaseUnavailable, Overloaded
from ml_api.indexing.changes.conditions import Source
from ml_api.indexing.changes.inspection import Broken, Current, Finding, Gone, SidecarChange, Unreadable
from ml_api.indexing.changes.queue import LEASE_S, Changes
from ml_api.indexing.changes.rows import Change
from ml_api.indexing.edits import delete_locked, upsert_keeping_edits
from ml_api.indexing.embedding import FileEmbedder
from ml_api.indexing.failures import Failures
from ml_api.indexing.moves import Moves, with_bytes
from ml_api.indexing.reading import Fresh, Known
from ml_api.indexing.report import FileOutcome, log_failure
from ml_api.indexing.tasks import BATCH, Reason
from ml_api.metrics import Metrics
from ml_api.records import Entry, ImageRecord, image_id
from ml_api.vectors.base import VectorStore
from ml_api.vocabulary import ChangeOutcome, ReasonCode, SyncOutcome

FILE_PAUSES_S: Final = (2.0, 10.0, 60.0, 300.0)
"""Before the next attempt at a file that cannot be read while others can."""
LATEST_S: Final = LEASE_S - 40.0
"""Nothing is written later than this after it was claimed: another process may look then. A call of the store takes less than the
rest."""

NO_VECTOR: Final = Reason(ReasonCode.NOT_FINITE, "the model returned no finite vector for it")


class ChangeApplier:
    """For one thread. Every method raises MlApiError if a part does not answer; then `put_back` makes the rest due again."""

    def __init__(self, store: VectorStore, changes: Changes, moves: Moves, failures: Failures, metrics: Metrics) -> None:
        self._store = store
        self._changes = changes
        self._moves = moves
        self._failures = failures
        self._looked_at = metrics.changes.looked_at
        self._latest = perf_counter() + LATEST_S
        self._fresh: list[tuple[Change, Fresh]] = []
        self._known: list[tuple[Change, Known]] = []
        self._current: list[Change] = []
        self._sidecars: list[Change] = []
        self._images: set[str] = set()
        """The images of these sidecars."""
        self._broken: list[tuple[Change, Broken]] = []
        self._gone: list[Change] = []
        self._done: set[str] = set()

    def add(self, change: Change, finding: Finding, model: FileEmbedder) -> None:
        match finding:
            case Fresh():
                self._fresh.append((change, finding))
                if len(self._fresh) == BATCH:
                    self._embed(model)
            case Known():
                self._known.append((change, finding))
            case Current() | Gone(stored=None):
                self._current.append(change)
            case SidecarChange(images=images):
                self._sidecars.append(change)
                self._images |= set(images)
            case Gone() if change.source is Source.WATCH:
                self._changes.vanish([change])
                self._count([change], ChangeOutcome.RETRIED)
            case Gone():
                self._gone.append(change)
            case Broken():
                self._broken.append((change, finding))
            case Unreadable():
                pause_s = FILE_PAUSES_S[min(change.attempts, len(FILE_PAUSES_S) - 1)]
                self._changes.retry([change], pause_s, finding.reason)
                self._count([change], ChangeOutcome.RETRIED)

    def finish(self, model: FileEmbedder) -> None:
        self._settle(self._current, ChangeOutcome.UNCHANGED)
        if self._sidecars:
            self._changes.note(self._images, Source.EVENT)  # durable before their sidecars are forgotten
            self._settle(self._sidecars, ChangeOutcome.UNCHANGED)
        if self._fresh:
            self._embed(model)
        self._take_over(self._known)
        if self._broken:
            self._leave_out()
        if self._gone:
            self._require_time()
            delete_locked(self._store, [image_id(change.key) for change in self._gone])
            self._settle(self._gone, ChangeOutcome.REMOVED)

    def put_back(self, claimed: Sequence[Change], reason: str) -> None:
        """Make the keys that are not settled due again. If the database does not answer, they are due when their leases end."""
        left = [change for change in claimed if change.key not in self._done]
        self._count(left, ChangeOutcome.RETRIED)
        with suppress(DatabaseUnavailable):
            self._changes.retry(left, 0.0, reason)

    def _embed(self, model: FileEmbedder) -> None:
        """Embed and write what is fresh and has not moved. If files are equal, one of them goes through the model."""
        fresh, self._fresh = self._without_moved(self._fresh), []
        if not fresh:
            return
        distinct = {file.record.digest: file for _, file in fresh}
        vectors: dict[str, npt.NDArray[np.float32]] = {}
        for part in [*model.submit(list(distinct.values())), *model.finish()]:
            if part.vectors is not None:
                vectors |= {file.record.digest: vector for file, vector in zip(part.files, part.vectors, strict=True)}
        embedded = [(change, file) for change, file in fresh if file.record.digest in vectors]
        self._write([(change, file.record, vectors[file.record.digest]) for change, file in embedded])
        self._settle([change for change, file in embedded if file.task.stored is None], ChangeOutcome.ADDED)
        self._settle([change for change, file in embedded if file.task.stored is not None], ChangeOutcome.REPLACED)
        for change, file in fresh:
            if file.record.digest not in vectors:
                self._broken.append((change, Broken(_file(file), NO_VECTOR, file.task.stored, lasting=False)))

    def _without_moved(self, fresh: Sequence[tuple[Change, Fresh]]) -> list[tuple[Change, Fresh]]:
        """Where images have moved to, they keep their vectors and what was edited, before other files are compared with them."""
        watched = [(change, file) for change, file in fresh if change.source is Source.WATCH]
        images = self._moves.to([file for _, file in watched])
        self._take_over(
            [(change, Known(file.task, images[change.key], file.record.phash)) for change, file in watched if change.key in images]
        )
        return [(change, file) for change, file in fresh if change.key not in images]

    def _take_over(self, known: Sequence[tuple[Change, Known]]) -> None:
        """Write files whose bytes are those of an indexed image, with its vector."""
        if not known:
            return
        images = with_bytes(self._store, [file for _, file in known])
        there = [(change, file) for change, file in known if change.key in images]
        moved = [(change, file) for change, file in there if file.source.key != change.key]
        self._write(
            [(change, file.record(images[change.key][0]), images[change.key][1]) for change, file in there],
            {image_id(change.key): file.source for change, file in moved},
        )
        self._settle([change for change, _ in moved], ChangeOutcome.MOVED)
        self._settle([change for change, file in there if file.source.key == change.key], ChangeOutcome.REPLACED)
        if removed := [change for change, _ in known if change.key not in images]:  # by a sync, since they were looked at
            self._changes.retry(removed, 0.0, "the image whose vector it could have kept was removed meanwhile")
            self._count(removed, ChangeOutcome.RETRIED)

    def _write(
        self, rows: Sequence[tuple[Change, ImageRecord, npt.NDArray[np.float32]]], moved: Mapping[str, Entry] = MappingProxyType({})
    ) -> None:
        """`moved` as in `upsert_keeping_edits`."""
        if rows:
            self._require_time()
            vectors = np.stack([vector for _, _, vector in rows])
            upsert_keeping_edits(self._store, [record for _, record, _ in rows], vectors, moved=moved)

    def _leave_out(self) -> None:
        """Delete the entries of broken files, as their bytes no longer exist. The files are not read again until they change."""
        self._require_time()
        delete_locked(self._store, [broken.stored.id for _, broken in self._broken if broken.stored is not None])
        self._failures.note((broken.file, broken.reason) for _, broken in self._broken if broken.lasting)
        for change, broken in self._broken:
            log_failure(FileOutcome(change.key, SyncOutcome.FAILED, broken.reason.code, broken.reason.text))
        self._settle([change for change, _ in self._broken], ChangeOutcome.FAILED)

    def _settle(self, changes: Sequence[Change], outcome: ChangeOutcome) -> None:
        self._changes.settle(changes)
        self._count(changes, outcome)

    def _count(self, changes: Sequence[Change], outcome: ChangeOutcome) -> None:
        self._done.update(change.key for change in changes)
        self._looked_at.labels(outcome).inc(len(changes))

    def _require_time(self) -> None:
        if perf_counter() > self._latest:
            raise Overloaded(f"a look at {BATCH} files took longer than {LATEST_S:g} s")


def _file(fresh: Fresh) -> CorpusFile:
    return CorpusFile(fresh.task.key, fresh.task.file_version)
