"""Reads the files of a sync: reading, comparison with the index, decoding and preprocessing, all before the model."""

import hashlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from ml_api.corpus.base import Corpus
from ml_api.corpus.metadata import facts_in, has_sidecar, sidecar_of
from ml_api.embedding.base import Prepared, Preprocessor
from ml_api.errors import CorpusUnavailable, InsufficientStorage, InvalidInput, MlApiError, NotFound, Overloaded
from ml_api.images import Decoder
from ml_api.images.perceptual import STORED_CHARS
from ml_api.indexing.tasks import Reason, Task
from ml_api.records import Entry, ImageRecord, image_id
from ml_api.vectors.base import MAX_METADATA_BYTES
from ml_api.vectors.validation import plain_metadata
from ml_api.vocabulary import ReasonCode

READ_AHEAD = 64
"""Files that are read before they are needed: two batches."""

_CODES = frozenset(ReasonCode)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fresh:
    """A file that must go through the model."""

    task: Task
    record: ImageRecord
    prepared: Prepared


@dataclass(frozen=True, slots=True)
class Known:
    """A file whose bytes are already embedded, as those of `source`."""

    task: Task
    source: Entry
    phash: str
    """The perceptual hash: that of `source`, or made now if that has none."""

    def record(self, source: ImageRecord) -> ImageRecord:
        """The record of `source`, as the corpus has that of this file: with nothing of what was edited there."""
        task = self.task
        return replace(
            source,
            id=image_id(task.key),
            key=task.key,
            version=task.version,
            metadata=task.metadata,
            edited=task.edited,
            indexed_at=time.time(),
            phash=self.phash,
        )


@dataclass(frozen=True, slots=True)
class Unusable:
    """A file that cannot be indexed.

    `gone` means that the entry stored under its key shows bytes that no longer exist, `lasting` that these bytes fail again.
    """

    task: Task
    reason: Reason
    gone: bool
    lasting: bool


class FileReader:
    """`source` finds an entry with a digest whose vector can be taken over. Used from several threads at once."""

    def __init__(self, corpus: Corpus, decoder: Decoder, preprocessor: Preprocessor, source: Callable[[str], Entry | None]) -> None:
        self._corpus = corpus
        self._decoder = decoder
        self._preprocessor = preprocessor
        self._source = source

    def read(self, task: Task) -> Fresh | Known | Unusable:
        """Raises nothing for any file: a broken one becomes `Unusable` with the reason."""
        try:
            return self._read(task)
        except InvalidInput as exc:
            return Unusable(task, _reason(exc), gone=True, lasting=True)
        except NotFound as exc:
            return Unusable(task, _reason(exc), gone=True, lasting=False)
        except (CorpusUnavailable, Overloaded, InsufficientStorage) as exc:
            return Unusable(task, _reason(exc), gone=False, lasting=False)

    def sidecar(self, key: str, file_version: str) -> Mapping[str, Any]:
        """The storable metadata in the sidecar of an image of this version; empty, with a log line, if it cannot be used.

        Raises CorpusUnavailable.
        """
        if not has_sidecar(file_version):
            return {}
        try:
            return plain_metadata(key, facts_in(self._corpus.read(sidecar_of(key), MAX_METADATA_BYTES)))
        except NotFound:  # removed meanwhile
            return {}
        except InvalidInput as exc:
            _log.warning("%s is left out: %s", sidecar_of(key), exc.detail)
            return {}

    def _hash(self, source: Entry, data: bytes) -> str:
        """The perceptual hash of `source`, or a new one: rows of earlier versions have none, or a shorter one."""
        if len(source.phash) == STORED_CHARS:
            return source.phash
        with suppress(InvalidInput, Overloaded, InsufficientStorage):  # the limits may be others now; what is indexed stays so
            return self._decoder.decode(data, self._preprocessor.fit).phash
        return source.phash

    def _read(self, task: Task) -> Fresh | Known:
        task = self._with_sidecar(task)
        data = self._corpus.read(task.key, self._decoder.limits.max_bytes)
        if noted := self._decoder.exif_metadata(data):  # overridden by all other metadata
            task = replace(task, metadata=dict(noted) | dict(task.metadata))
        digest = hashlib.sha256(data).hexdigest()
        if task.stored is not None and task.stored.digest == digest:
            return Known(task, task.stored, self._hash(task.stored, data))
        if (source := self._source(digest)) is not None:
            return Known(task, source, self._hash(source, data))
        decoded = self._decoder.decode(data, self._preprocessor.fit)
        record = ImageRecord(
            id=image_id(task.key),
            key=task.key,
            version=task.version,
            digest=digest,
            width=decoded.width,
            height=decoded.height,
            indexed_at=time.time(),
            metadata=task.metadata,
            edited=task.edited,
            phash=decoded.phash,
        )
        return Fresh(task, record, self._preprocessor.prepare_image(decoded.pixels))

    def _with_sidecar(self, task: Task) -> Task:
        """The sidecar counts more than tables, and less than what came with an upload."""
        beside = {name: value for name, value in self.sidecar(task.key, task.file_version).items() if name not in task.edited}
        try:
            return replace(task, metadata=plain_metadata(task.key, {**task.metadata, **beside})) if beside else task
        except InvalidInput as exc:
            _log.warning("%s is left out: %s", sidecar_of(task.key), exc.detail)
            return task


def _reason(exc: MlApiError) -> Reason:
    code = ReasonCode(exc.slug) if exc.slug in _CODES else ReasonCode.INVALID_IMAGE
    return Reason(code, exc.detail)


def read_ahead(
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
