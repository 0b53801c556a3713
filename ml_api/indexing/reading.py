"""Everything a sync does for one file beside the model: read, compare, decode, prepare."""

import hashlib
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from ml_api.corpus.base import Corpus
from ml_api.embedding.base import Prepared, Preprocessor
from ml_api.errors import CorpusUnavailable, InvalidInput, NotFound, Overloaded
from ml_api.images import Decoder
from ml_api.indexing.plan import Task
from ml_api.records import Entry, ImageRecord, image_id


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
    """Of the picture: that of `source`, or made now if that has none."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """A file that cannot be indexed.

    `gone` means that the entry stored under its key shows bytes that no longer exist, `lasting` that these bytes fail again.
    """

    task: Task
    reason: str
    gone: bool
    lasting: bool


class FileReader:
    """`reusable` maps digests to entries whose vectors can be taken over. Used from several threads at once."""

    def __init__(self, corpus: Corpus, decoder: Decoder, preprocessor: Preprocessor, reusable: Mapping[str, Entry]) -> None:
        self._corpus = corpus
        self._decoder = decoder
        self._preprocessor = preprocessor
        self._reusable = reusable

    def read(self, task: Task) -> Fresh | Known | Unusable:
        """Never raises for what a file may be: a broken one becomes `Unusable` with the reason."""
        try:
            task.key.encode()
        except UnicodeEncodeError:
            return Unusable(task, "the file's name is not valid UTF-8; rename it", gone=False, lasting=True)
        try:
            return self._read(task)
        except InvalidInput as exc:
            return Unusable(task, exc.detail, gone=True, lasting=True)
        except NotFound as exc:
            return Unusable(task, exc.detail, gone=True, lasting=False)
        except (CorpusUnavailable, Overloaded) as exc:
            return Unusable(task, exc.detail, gone=False, lasting=False)

    def _hash(self, source: Entry, data: bytes) -> str:
        """Rows of earlier versions have none: whoever reads their files anyway gives them one."""
        if source.phash:
            return source.phash
        with suppress(InvalidInput, Overloaded):  # the limits may be others now; what is indexed stays so
            return self._decoder.decode(data, self._preprocessor.fit).phash
        return ""

    def _read(self, task: Task) -> Fresh | Known:
        data = self._corpus.read(task.key, self._decoder.limits.max_bytes)
        digest = hashlib.sha256(data).hexdigest()
        if task.stored is not None and task.stored.digest == digest:
            return Known(task, task.stored, self._hash(task.stored, data))
        if (source := self._reusable.get(digest)) is not None:
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
            phash=decoded.phash,
        )
        return Fresh(task, record, self._preprocessor.prepare_image(decoded.pixels))
