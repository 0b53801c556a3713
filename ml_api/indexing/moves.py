"""Files whose bytes are indexed already: which vector they take over, and which missing image has moved to which file.

An image moves to one file at most. It is deleted from the index together with the write of that file
(`edits.upsert_keeping_edits`), so that no other file takes over its edits.
"""

from collections.abc import Collection, Iterable, Sequence
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt

from ml_api.corpus.base import Corpus
from ml_api.errors import CorpusUnavailable, NotFound
from ml_api.indexing.plan import is_of
from ml_api.indexing.reading import Fresh, Known
from ml_api.indexing.tasks import Task
from ml_api.records import ImageRecord
from ml_api.vectors.base import VectorStore

Stored = tuple[ImageRecord, npt.NDArray[np.float32]]
"""An image, and its vector (dim,)."""


def with_bytes(store: VectorStore, files: Sequence[Known]) -> dict[str, Stored]:
    """By the key of a file, an image with its bytes. Raises StoreUnavailable.

    It is the image that was found when the file was read, unless that was moved, removed or changed since.
    """
    found = _stored(store, {file.source.id for file in files})
    by_digest = {image.digest: (image, vector) for image, vector in found.values()}
    if lacking := sorted({file.source.digest for file in files} - by_digest.keys()):
        others = _stored(store, {entry.digest: entry.id for entry in store.of_digests(lacking)}.values())
        by_digest |= {image.digest: (image, vector) for image, vector in others.values()}
    taken: dict[str, Stored] = {}
    for file in files:
        source = found.get(file.source.id)
        if source is None or source[0].digest != file.source.digest:
            source = by_digest.get(file.source.digest)
        if source is not None:
            taken[file.task.key] = source
    return taken


def _stored(store: VectorStore, ids: Collection[str]) -> dict[str, Stored]:
    records, vectors = store.get(list(ids)), store.vectors(list(ids))
    return {id_: (record, vectors[id_]) for id_, record in records.items() if id_ in vectors}


def successors(gone: Iterable[ImageRecord], files: Sequence[tuple[Task, str]]) -> dict[str, ImageRecord]:
    """By the key of a file, the image that has moved there: one that is gone, and had the bytes of the file (its digest).

    Of several equal images the one with the same file time, which a move preserves, comes first; then edited ones, then those with
    the same file name.
    """
    pairs = [
        (not is_of(image, task.file_version), not image.edited, _name(image.key) != _name(task.key), image.key, task.key, image)
        for image in gone
        for task, digest in files
        if image.digest == digest
    ]
    found: dict[str, ImageRecord] = {}
    moved: set[str] = set()
    for *_, old, new, image in sorted(pairs, key=lambda pair: pair[:-1]):
        if new not in found and old not in moved:
            found[new] = image
            moved.add(old)
    return found


def _name(key: str) -> str:
    return PurePosixPath(key).name


class Moves:
    """Finds images that have moved to watched files: their own files are gone, whether or not a notice has come yet."""

    def __init__(self, corpus: Corpus, store: VectorStore) -> None:
        self._corpus = corpus
        self._store = store

    def to(self, files: Sequence[Fresh]) -> dict[str, ImageRecord]:
        """As `successors`. Raises Unavailable."""
        digests = sorted({file.record.digest for file in files})
        entries = self._store.of_digests(digests) if digests else []
        gone = [entry.id for entry in entries if self._is_gone(entry.key)]
        return successors(self._store.get(gone).values(), [(file.task, file.record.digest) for file in files])

    def _is_gone(self, key: str) -> bool:
        try:
            return not self._corpus.version(key)
        except NotFound:
            return True
        except CorpusUnavailable:
            return False
