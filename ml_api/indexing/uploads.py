"""Images that are put into the corpus, and deleted from it, by whoever uses the service.

The order is: checked, announced in the database, written to the corpus, noted. So nothing damaged is kept, nothing that was
acknowledged is lost, and whatever dies in between, the index comes to agree with the corpus.
"""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ml_api.corpus.base import Corpus
from ml_api.deadline import Deadline
from ml_api.embedding.base import Preprocessor
from ml_api.errors import CorpusReadOnly, DeadlineExceeded, InvalidKey, NotFound, Unavailable
from ml_api.images import Decoder
from ml_api.indexing.changes import Changes
from ml_api.indexing.plan import is_of
from ml_api.records import image_id
from ml_api.vectors.base import VectorStore
from ml_api.vectors.validation import plain_metadata
from ml_api.vocabulary import UploadState


@dataclass(frozen=True, slots=True)
class Upload:
    """An image that is in the corpus."""

    key: str
    digest: str
    width: int
    height: int
    unchanged: bool
    """Whether nothing was to be done, as corpus and index had these bytes under this key."""
    duplicate_of: str | None = None
    """The key of another indexed image with these bytes."""

    @property
    def id(self) -> str:
        return image_id(self.key)


class Uploads:
    """May be used from any thread."""

    def __init__(self, corpus: Corpus, store: VectorStore, changes: Changes, decoder: Decoder, preprocessor: Preprocessor) -> None:
        self._corpus = corpus
        self._store = store
        self._changes = changes
        self._decoder = decoder
        self._preprocessor = preprocessor

    def put(self, key: str, data: bytes, facts: Mapping[str, Any] | None, deadline: Deadline) -> Upload:
        """Keep an image under `key`, in place of another; its metadata, too, unless `facts` is None.

        Durable in corpus and database when it returns. Raises InvalidInput (the image, the key or the metadata), CorpusReadOnly,
        InsufficientStorage, Unavailable, DeadlineExceeded; then nothing is kept, except after Unavailable perhaps.
        """
        self._require_writable()
        facts = None if facts is None else plain_metadata(key, facts)
        decoded = self._decoder.decode(data, self._preprocessor.fit, deadline)
        digest = hashlib.sha256(data).hexdigest()
        unchanged = self._holds(key, digest, facts, deadline)
        if not unchanged:
            with self._changes.around(key, facts):
                self._corpus.write(key, data)
        return Upload(key, digest, decoded.width, decoded.height, unchanged, self._other(key, digest, deadline))

    def remove(self, image: str, deadline: Deadline) -> str:
        """Delete the image with this id from the corpus, and with it from the index; its key.

        Raises NotFound, CorpusReadOnly, Unavailable, DeadlineExceeded.
        """
        self._require_writable()
        record = self._store.get([image], deadline).get(image)
        if record is None:
            raise NotFound(f"no image has the id {image}")
        try:
            with self._changes.around(record.key), suppress(NotFound):  # it may be gone already, unknown to the index
                self._corpus.delete(record.key)
        except InvalidKey:  # its vector was imported, or the corpus had it under other rules: there is no file to delete
            self._store.delete([image])
        return record.key

    def state(self, upload: Upload, until: Deadline) -> UploadState:
        """What has become of it, waiting for that as long as it is queued."""
        if upload.unchanged:
            return UploadState.SEARCHABLE
        try:
            is_settled = self._changes.wait(upload.key, until)
            record = self._store.get([upload.id]).get(upload.id)
        except Unavailable:  # it is durable, whoever is down now
            return UploadState.QUEUED
        if record is not None and record.digest == upload.digest:
            return UploadState.SEARCHABLE
        if not is_settled:
            return UploadState.QUEUED
        return UploadState.FAILED if record is None and self._is_there(upload.key) else UploadState.SUPERSEDED

    def is_removed(self, key: str, until: Deadline) -> bool:
        """Whether the index has followed a removal, or a later change of the same key, waiting for it."""
        try:
            return self._changes.wait(key, until)
        except Unavailable:
            return False

    def _require_writable(self) -> None:
        if not self._corpus.writable:
            raise CorpusReadOnly("the corpus cannot be changed: this service may only read it")

    def _holds(self, key: str, digest: str, facts: Mapping[str, Any] | None, deadline: Deadline) -> bool:
        """Whether corpus and index have these bytes under this key, with these metadata. If nobody can say, they are written."""
        try:
            record = self._store.get([image_id(key)], deadline).get(image_id(key))
            if record is None or record.digest != digest or (facts is not None and facts != record.metadata):
                return False
            return is_of(record, self._corpus.version(key))
        except (Unavailable, NotFound):
            return False

    def _other(self, key: str, digest: str, deadline: Deadline) -> str | None:
        """None also if nobody can say: the upload is kept by now."""
        try:
            return next((entry.key for entry in self._store.of_digests([digest], deadline) if entry.key != key), None)
        except (Unavailable, DeadlineExceeded):
            return None

    def _is_there(self, key: str) -> bool:
        try:
            return bool(self._corpus.version(key))
        except (Unavailable, NotFound):
            return False
