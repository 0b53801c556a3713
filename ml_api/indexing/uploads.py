"""Uploads and deletions of images by clients of the service.

The order is: check, announce in the database, write to the corpus, note. So no damaged image is kept, no acknowledged one is lost,
and whatever fails in between, the index comes to agree with the corpus.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final, TypeVar

from ml_api.corpus.base import Corpus
from ml_api.corpus.versions import MISSING
from ml_api.deadline import Deadline
from ml_api.embedding.base import Preprocessor
from ml_api.errors import (
    CorpusReadOnly,
    DeadlineExceeded,
    InvalidKey,
    NotFound,
    PreconditionFailed,
    StoreUnavailable,
    TooLarge,
    Unavailable,
)
from ml_api.images import Decoder
from ml_api.indexing.changes import Changes
from ml_api.indexing.edits import delete_locked
from ml_api.indexing.plan import is_of
from ml_api.indexing.preconditions import Held, Precondition
from ml_api.indexing.upload_locks import UploadLocks
from ml_api.records import ImageRecord, image_id
from ml_api.vectors.base import VectorStore, no_image
from ml_api.vectors.validation import plain_metadata
from ml_api.vocabulary import UploadState

_T = TypeVar("_T")

PATIENCE_S: Final = 2.0
"""How long an upload waits for the record in the index. It does without: a store that hangs refuses no upload."""
ASK_AGAIN_S: Final = 1.0
"""While the store does not answer, uploads ask it no more often."""


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
    """Thread-safe."""

    def __init__(  # noqa: PLR0913 - the parts between which it stands
        self,
        corpus: Corpus,
        store: VectorStore,
        changes: Changes,
        decoder: Decoder,
        preprocessor: Preprocessor,
        *,
        max_bytes: int,
        patience_s: float = PATIENCE_S,
        locks: UploadLocks | None = None,
    ) -> None:
        """`max_bytes` is the size of the largest image. `locks` are shared by all writers of the corpus."""
        self._corpus = corpus
        self._store = store
        self._changes = changes
        self._decoder = decoder
        self._preprocessor = preprocessor
        self._max_bytes = max_bytes
        self._patience_s = patience_s
        self._ask_again_at = 0.0
        self._locks = locks or UploadLocks()

    def put(
        self,
        key: str,
        data: bytes,
        facts: Mapping[str, Any] | None,
        deadline: Deadline,
        precondition: Precondition | None = None,
    ) -> Upload:
        """Keep an image under `key`, in place of another; its metadata, too, unless `facts` is None.

        Durable in corpus and database when it returns. Raises InvalidInput (the image, the key or the metadata), CorpusReadOnly,
        InsufficientStorage, PreconditionFailed, Unavailable, DeadlineExceeded; then nothing is kept, except after Unavailable
        perhaps.
        """
        self._require_writable()
        facts = None if facts is None else plain_metadata(key, facts)
        decoded = self._decoder.decode(data, self._preprocessor.fit, deadline)
        digest = hashlib.sha256(data).hexdigest()
        record, other = self._indexed(key, digest, deadline)
        with self._locks.held(key, deadline), self._required(precondition, key, digest, deadline) as expected:
            unchanged = record is not None and self._holds(record, digest, facts)
            if not unchanged:
                with self._changes.around(key, facts, deadline):
                    self._corpus.write(key, data, expected)
        return Upload(key, digest, decoded.width, decoded.height, unchanged, other)

    def remove(self, image: str, deadline: Deadline, precondition: Precondition | None = None) -> str:
        """Delete the image with this id from the corpus, and with it from the index; its key. It may have been uploaded just now.

        Raises NotFound, CorpusReadOnly, PreconditionFailed, Unavailable, DeadlineExceeded.
        """
        self._require_writable()
        key = self._key(image, deadline)
        with self._locks.held(key, deadline), self._required(precondition, key, "", deadline) as expected:
            try:
                with self._changes.around(key, deadline=deadline), suppress(NotFound):  # gone already, unknown to the index
                    self._corpus.delete(key, expected)
            except InvalidKey:  # its vector was imported, or the corpus had it under other rules: there is no file to delete
                delete_locked(self._store, [image], deadline)
        return key

    def state(self, upload: Upload, until: Deadline) -> UploadState:
        """The state of the upload; waits while it is queued."""
        if upload.unchanged:
            return UploadState.SEARCHABLE
        try:
            is_settled = self._wait(upload.key, until)
            record = self._ask(lambda patience: self._store.get([upload.id], patience)).get(upload.id)
        except Unavailable:  # it is durable, whatever part does not answer now
            return UploadState.QUEUED
        if record is not None and record.digest == upload.digest:
            return UploadState.SEARCHABLE
        if not is_settled:
            return UploadState.QUEUED
        return UploadState.FAILED if record is None and self._is_there(upload.key) else UploadState.SUPERSEDED

    def is_removed(self, key: str, until: Deadline) -> bool:
        """Whether the index has applied a removal, or a later change of the same key; waits for it."""
        try:
            return self._wait(key, until)
        except Unavailable:
            return False

    @contextmanager
    def _required(self, precondition: Precondition | None, key: str, sent: str, deadline: Deadline) -> Iterator[str | None]:
        """The file version that the change expects, as in `Corpus.write`, from the corpus itself: the index may lag behind.

        Raises PreconditionFailed, with the present state, also if another program writes the file between check and change.
        """
        if precondition is None:
            yield None
            return
        there = self._held(key, deadline)
        precondition.require(key, there, sent)
        try:
            yield MISSING if there is None else there.version
        except PreconditionFailed as refused:
            with suppress(DeadlineExceeded, Unavailable):  # that it is refused is certain
                there = self._held(key, deadline)
                precondition.require(key, there, sent)
                raise PreconditionFailed(refused.detail, digest=there.digest if there else "") from refused
            raise

    def _held(self, key: str, deadline: Deadline) -> Held | None:
        try:
            version = self._corpus.version(key)  # before it is read: what changes in between is another version
            data = self._corpus.read(key, self._max_bytes, deadline)
        except NotFound:
            return None
        except TooLarge:
            return Held(version, "")
        return Held(version, hashlib.sha256(data).hexdigest())

    def _wait(self, key: str, until: Deadline) -> bool:
        """Whether the index has applied the change by then, or by now if enough other callers wait."""
        if not self._locks.waiters.acquire(blocking=False):
            return self._changes.wait(key, Deadline.within(0))
        try:
            return self._changes.wait(key, until)
        finally:
            self._locks.waiters.release()

    def _key(self, image: str, deadline: Deadline) -> str:
        """The key of an image that is indexed, or waiting to be. Raises NotFound."""
        key = self._key_in_index(image, deadline) or self._key_of_waiting(image)
        if key := key or self._key_in_index(image, deadline):  # it may be indexed between the two questions
            return key
        raise no_image(image)

    def _key_in_index(self, image: str, deadline: Deadline) -> str | None:
        record = self._store.get([image], deadline).get(image)
        return None if record is None else record.key

    def _key_of_waiting(self, image: str) -> str | None:
        key = self._changes.uploaded(image)
        return key if key is not None and self._is_there(key) else None

    def _require_writable(self) -> None:
        if not self._corpus.writable:
            raise CorpusReadOnly("the corpus cannot be changed: this service may only read it")

    def _indexed(self, key: str, digest: str, deadline: Deadline) -> tuple[ImageRecord | None, str | None]:
        """The record of this key, and the key of another image with these bytes; None for both if the store does not answer."""
        try:
            record = self._ask(lambda patience: self._store.get([image_id(key)], patience).get(image_id(key)), deadline)
            others = self._ask(lambda patience: self._store.of_digests([digest], patience), deadline)
        except Unavailable:
            return None, None
        return record, next((entry.key for entry in others if entry.key != key), None)

    def _ask(self, question: Callable[[Deadline], _T], deadline: Deadline | None = None) -> _T:
        """Raises StoreUnavailable also if the store takes longer than uploads wait, or has just done so."""
        if perf_counter() < self._ask_again_at:
            raise StoreUnavailable("the vector store has not answered a moment ago")
        left_s = self._patience_s if deadline is None else min(self._patience_s, deadline.left_s())
        try:
            return question(Deadline.within(left_s))
        except (DeadlineExceeded, Unavailable) as exc:
            if isinstance(exc, Unavailable) or left_s == self._patience_s:  # a request whose time is up says nothing of the store
                self._ask_again_at = perf_counter() + ASK_AGAIN_S
            raise StoreUnavailable(exc.detail) from exc

    def _holds(self, record: ImageRecord, digest: str, facts: Mapping[str, Any] | None) -> bool:
        """Whether corpus and index have these bytes and metadata under this key; False if the corpus does not answer."""
        if record.digest != digest or (facts is not None and facts != record.metadata):
            return False
        try:
            return is_of(record, self._corpus.version(record.key))
        except (Unavailable, NotFound):
            return False

    def _is_there(self, key: str) -> bool:
        try:
            return bool(self._corpus.version(key))
        except (Unavailable, NotFound):
            return False
