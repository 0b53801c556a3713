"""Migration to another model: ordinary syncs make its vectors beside those in use, until none is missing."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

from ml_api.batched import batched
from ml_api.errors import ModelUnavailable, SyncRefused
from ml_api.indexing.edits import with_edits_of
from ml_api.indexing.recorder import Progress
from ml_api.indexing.sync import Indexer
from ml_api.vectors.base import Generation, Generations, VectorStore
from ml_api.vocabulary import SyncOutcome

CATCHING_UP: Final = 3
"""The most syncs: what changes during the first is indexed by the second, which is short."""
ENOUGH: Final = 0.8
"""Share of the images in use that the new vectors must cover: fewer look like a lost mount."""
EDITS_AT_ONCE: Final = 256

CHANGED: Final = (
    *(SyncOutcome.ADDED, SyncOutcome.REPLACED, SyncOutcome.MOVED),
    *(SyncOutcome.REMOVED, SyncOutcome.DUPLICATE),
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Migration:
    """From the generation in use to that of another model."""

    generations: Generations
    old: VectorStore
    new: VectorStore
    current: Generation
    wanted: Generation
    indexer: Indexer
    """Makes `new` equal to the corpus."""

    @property
    def summary(self) -> str:
        if not self.same_model:
            return f"from {self.current.model_id} to {self.wanted.model_id}"
        names = ", ".join(field.name for field in self.wanted.fields) or "no field"
        return f"{self.current.model_id} stays the model; its vectors are copied to a collection with columns for {names}"

    @property
    def same_model(self) -> bool:
        return self.wanted.model_id == self.current.model_id

    def embed(self, follow: Callable[[int], AbstractContextManager[Progress]], stop: Callable[[], bool]) -> bool:
        """Whether the new vectors are those of the corpus as it is now; false if it was stopped.

        `follow` is entered for each sync, with the number of its files. Raises ModelUnavailable, and as `Indexer` does.
        """
        if self.same_model and not self._copied(stop):
            return False
        for _ in range(CATCHING_UP):
            plan = self.indexer.plan()
            with follow(plan.total) as advance:
                report = self.indexer.run(plan, advance, stop)
            if stop():
                return False
            if report.model_failed:
                raise ModelUnavailable(f"{self.wanted.model_id} returned no finite vector for any image; nothing was switched")
            _log.info("%s", report.summary())
            if not any(report.outcomes[outcome] for outcome in CHANGED):
                break
        return True

    def _copied(self, stop: Callable[[], bool]) -> bool:
        """Whether all vectors in use were copied, so that the syncs that follow have little to embed. Safe to repeat."""
        for records, vectors in self.old.scan():
            if stop():
                return False
            self.new.upsert(records, vectors)
        return True

    def require_enough(self) -> None:
        """Raises SyncRefused if the new vectors are those of much fewer images."""
        old, new = self.old.count(), self.new.count()
        if new < ENOUGH * old:
            raise SyncRefused(
                f"the corpus gave {new:,} images, but {old:,} are in use: is all of it mounted? {self.current.model_id} stays in "
                "use. If they were deleted on purpose, sync first"
            )

    def take_over_edits(self) -> None:
        """What was said of images over the API, and nowhere in the corpus. Safe to repeat."""
        for some in batched(self.old.entries(), EDITS_AT_ONCE):
            edited = {key: record for key, record in self.old.get([entry.id for entry in some]).items() if record.edited}
            stored, vectors = self.new.get(list(edited)), self.new.vectors(list(edited))
            changed = [
                (record, vectors[image])
                for image, before in edited.items()
                if image in stored and image in vectors and (record := with_edits_of(stored[image], before)) != stored[image]
            ]
            for record, vector in changed:
                self.new.upsert([record], vector[None])
