"""Keeps the word index equal to the vector store: a store that indexes the words of each change, and an upkeep task that repairs
images whose change was interrupted."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from ml_api.batched import batched
from ml_api.errors import DatabaseUnavailable, MlApiError
from ml_api.metrics import Metrics
from ml_api.records import ImageRecord, Vectors
from ml_api.texts.index import AT_ONCE, ImageWords, TextIndex, fingerprint_of
from ml_api.vectors.base import VectorStore
from ml_api.vectors.wrapper import StoreWrapper

CHECK_EVERY_S: Final = 10.0

_log = logging.getLogger(__name__)


class TextIndexingStore(StoreWrapper):
    """A VectorStore that also indexes the words of images. Writes raise DatabaseUnavailable, too, before they change anything."""

    def __init__(self, inner: VectorStore, texts: TextIndex) -> None:
        super().__init__(inner)
        self._texts = texts

    def upsert(self, records: Sequence[ImageRecord], vectors: Vectors) -> None:
        token = self._texts.announce([record.id for record in records])
        super().upsert(records, vectors)
        self._settle(token, {record.id: ImageWords.of(record) for record in records})

    def delete(self, ids: Sequence[str]) -> None:
        token = self._texts.announce(ids)
        super().delete(ids)
        self._settle(token, dict.fromkeys(ids))

    def _settle(self, token: str, words: Mapping[str, ImageWords | None]) -> None:
        try:
            self._texts.settle(token, words)
        except DatabaseUnavailable as exc:  # the vector store has the change; TextUpkeep settles the images that stay announced
            _log.warning("the words of %d changed images are found later: %s", len(words), exc.detail)


class TextUpkeep:
    """Repairs the word index. For one thread, which calls `check` every CHECK_EVERY_S."""

    def __init__(self, texts: TextIndex, store: VectorStore, metrics: Metrics) -> None:
        self._texts = texts
        self._store = store
        self._metrics = metrics.search
        self._announced: Mapping[str, str] = {}
        self._counted: tuple[int, int] | None = None
        self._compared: tuple[int, int] | None = None
        """The numbers of images and of texts after the last comparison. They may differ: not every server counts exactly."""

    def check(self) -> None:
        """Repair interrupted changes, and compare the index with the store at the first call and whenever their counts differ."""
        try:
            self._repair_interrupted()
            before, self._counted = self._counted, (self._store.count(), self._texts.count())
            self._metrics.text_behind.set(abs(self._counted[0] - self._counted[1]) + len(self._announced))
            is_still = before == self._counted  # while a sync writes, the counts differ for a moment
            if self._compared is None or (is_still and self._counted[0] != self._counted[1] and self._counted != self._compared):
                self.compare()
                self._compared = self._store.count(), self._texts.count()
        except MlApiError as exc:  # the store or the database is away, which health checks report
            _log.debug("texts were not looked at: %s", exc.detail)

    def compare(self) -> int:
        """Make the index equal to the vector store; returns how many images differed. Raises Unavailable."""
        differing = 0
        for batch in batched(self._differing(), AT_ONCE):
            self.refresh(batch)
            differing += len(batch)
        if differing:
            _log.info("texts        of %d images are found by their words now", differing)
        return differing

    def refresh(self, ids: Sequence[str]) -> None:
        """Index the words of these images again, as the vector store has them. Raises Unavailable."""
        token = self._texts.announce(ids)  # before reading, so that a later change is not overwritten with what is read
        records = self._store.get(ids)
        self._texts.settle(token, {id_: ImageWords.of(records[id_]) if id_ in records else None for id_ in ids})

    def _repair_interrupted(self) -> None:
        """Refresh images that have been announced since the last check: a process died, or several changed them at once."""
        before, self._announced = self._announced, self._texts.announced()
        left = [id_ for id_, token in self._announced.items() if before.get(id_) == token]
        for batch in batched(left, AT_ONCE):
            self.refresh(batch)

    def _differing(self) -> Iterator[str]:
        """The ids of images whose words are missing or outdated, and of words whose image is gone."""
        stored = ((entry.id, fingerprint_of(entry)) for entry in self._store.entries())
        return _different(stored, self._texts.fingerprints())


def _different(left: Iterable[tuple[str, str]], right: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield the ids (first members) at which two sequences of pairs differ. Both are in the order of ids."""
    lefts, rights = iter(left), iter(right)
    first, second = next(lefts, None), next(rights, None)
    while first is not None or second is not None:
        if second is None or (first is not None and first[0] < second[0]):
            assert first is not None
            yield first[0]
            first = next(lefts, None)
        elif first is None or second[0] < first[0]:
            yield second[0]
            second = next(rights, None)
        else:
            if first[1] != second[1]:
                yield first[0]
            first, second = next(lefts, None), next(rights, None)
