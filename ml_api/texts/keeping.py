"""Keeps the index of words equal to the vector store: written with every change, and repaired where a process died in between."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from ml_api.errors import DatabaseUnavailable, MlApiError
from ml_api.metrics import Metrics
from ml_api.records import ImageRecord, Vectors
from ml_api.texts.index import Said, TextIndex, batches, mark_of
from ml_api.vectors.base import VectorStore
from ml_api.vectors.passing import PassingStore

LOOK_EVERY_S: Final = 10.0

_log = logging.getLogger(__name__)


class TextKeepingStore(PassingStore):
    """A VectorStore that also indexes the words of images. Writes raise DatabaseUnavailable, too, before they change anything."""

    def __init__(self, inner: VectorStore, texts: TextIndex) -> None:
        super().__init__(inner)
        self._texts = texts

    def upsert(self, records: Sequence[ImageRecord], vectors: Vectors) -> None:
        token = self._texts.announce([record.id for record in records])
        super().upsert(records, vectors)
        self._settle(token, {record.id: Said.of(record) for record in records})

    def delete(self, ids: Sequence[str]) -> None:
        token = self._texts.announce(ids)
        super().delete(ids)
        self._settle(token, dict.fromkeys(ids))

    def _settle(self, token: str, said: Mapping[str, Said | None]) -> None:
        try:
            self._texts.settle(token, said)
        except DatabaseUnavailable as exc:  # the vector store has the change; TextUpkeep settles what stays announced
            _log.warning("the words of %d changed images are found later: %s", len(said), exc.detail)


class TextUpkeep:
    """Repairs the index of words. For one thread, which calls `look` again and again."""

    def __init__(self, texts: TextIndex, store: VectorStore, metrics: Metrics) -> None:
        self._texts = texts
        self._store = store
        self._metrics = metrics.search
        self._announced: Mapping[str, str] = {}
        self._counted: tuple[int, int] | None = None
        self._compared: tuple[int, int] | None = None
        """The numbers of images and of texts after the last comparison. They may differ: not every server counts exactly."""

    def look(self) -> None:
        try:
            self._mend()
            before, self._counted = self._counted, (self._store.count(), self._texts.count())
            self._metrics.text_behind.set(abs(self._counted[0] - self._counted[1]) + len(self._announced))
            is_still = before == self._counted  # a sync is not to be compared in between
            if self._compared is None or (is_still and self._counted[0] != self._counted[1] and self._counted != self._compared):
                self.compare()
                self._compared = self._store.count(), self._texts.count()
        except MlApiError as exc:  # the store or the database is away: health checks tell
            _log.debug("texts were not looked at: %s", exc.detail)

    def compare(self) -> int:
        """Make the index equal to the vector store. Returns how many images differed. Raises Unavailable."""
        differing = 0
        for some in batches(self._differing()):
            self.refresh(some)
            differing += len(some)
        if differing:
            _log.info("texts        of %d images are found by their words now", differing)
        return differing

    def refresh(self, ids: Sequence[str]) -> None:
        """Read the words of these images from the vector store again. Raises Unavailable."""
        token = self._texts.announce(ids)  # before reading: a change from now on is not overwritten with what is read
        records = self._store.get(ids)
        self._texts.settle(token, {id_: Said.of(records[id_]) if id_ in records else None for id_ in ids})

    def _mend(self) -> None:
        """Refresh images that the last look found announced, and that are not settled: a process died, or several changed them."""
        before, self._announced = self._announced, self._texts.announced()
        left = [id_ for id_, token in self._announced.items() if before.get(id_) == token]
        for some in batches(left):
            self.refresh(some)

    def _differing(self) -> Iterator[str]:
        """The ids of images whose words are missing or outdated, and of words whose image is gone."""
        stored = ((entry.id, mark_of(entry)) for entry in self._store.entries())
        kept = self._texts.marks()
        return _different(stored, kept)


def _different(ones: Iterable[tuple[str, str]], others: Iterable[tuple[str, str]]) -> Iterator[str]:
    """The names (first members) at which two sequences of pairs differ. Both are in the order of their names."""
    left, right = iter(ones), iter(others)
    one, other = next(left, None), next(right, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one[0] < other[0]):
            assert one is not None
            yield one[0]
            one = next(left, None)
        elif one is None or other[0] < one[0]:
            yield other[0]
            other = next(right, None)
        else:
            if one[1] != other[1]:
                yield one[0]
            one, other = next(left, None), next(right, None)
