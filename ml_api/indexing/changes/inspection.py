"""Inspection of changed keys: compares the corpus with the index, and finds what has to be done to make them agree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ml_api.corpus.base import Corpus, CorpusFile
from ml_api.corpus.metadata import ENDING, Metadata
from ml_api.errors import CorpusUnavailable, InvalidMetadata, NotFound
from ml_api.indexing.changes.conditions import Source
from ml_api.indexing.changes.rows import Change
from ml_api.indexing.edits import edit, with_stored_edits
from ml_api.indexing.failures import Failures
from ml_api.indexing.plan import version_of
from ml_api.indexing.reading import FileReader, Fresh, Known, Unusable
from ml_api.indexing.tasks import Reason, Task
from ml_api.records import Entry, ImageRecord, image_id
from ml_api.vectors.validation import plain_metadata


@dataclass(frozen=True, slots=True)
class Gone:
    """The corpus has no such image."""

    stored: ImageRecord | None


@dataclass(frozen=True, slots=True)
class Current:
    """The index has what the corpus has."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The file may exist, but cannot be read now."""

    reason: str


@dataclass(frozen=True, slots=True)
class Broken:
    """The file exists, but cannot be indexed."""

    file: CorpusFile
    reason: Reason
    stored: Entry | None
    lasting: bool = True
    """Whether these bytes would fail again."""


@dataclass(frozen=True, slots=True)
class SidecarChange:
    """A sidecar has changed: the keys of its images have to be inspected."""

    images: Sequence[str]


Finding = Fresh | Known | Gone | Current | Unreadable | Broken | SidecarChange


WRITERS_PATIENCE: Final = 2
"""Inspections of a watched file that is no image, before it counts as broken: a slow program may still be writing it."""


class Inspector:
    """Thread-safe."""

    def __init__(
        self, corpus: Corpus, metadata: Metadata, failures: Failures, reader: FileReader, stored: Mapping[str, ImageRecord]
    ) -> None:
        """`stored` are the records of these keys, by id."""
        self._corpus = corpus
        self._failures = failures
        self._metadata = metadata
        self._reader = reader
        self._stored = stored

    def inspect(self, change: Change) -> Finding:
        """Raises nothing for any file, however broken."""
        stored = self._stored.get(image_id(change.key))
        try:
            if stored is None and change.key.endswith(ENDING):
                return SidecarChange(self._corpus.beside(change.key))
            return self._inspect(change, stored)
        except NotFound:
            return Gone(stored)
        except CorpusUnavailable as exc:
            return Unreadable(exc.detail)

    def _inspect(self, change: Change, stored: ImageRecord | None) -> Finding:
        """Raises NotFound and CorpusUnavailable."""
        version = self._corpus.version(change.key)  # before the read: a file that changes in between counts as changed
        file = CorpusFile(change.key, version)
        task = self._task(change, file, stored)
        if change.source is Source.EVENT and stored is not None and stored.version == task.version:
            return Current()  # a repeated event; the version of an object is of its bytes, unlike the time of a file
        if (known := self._failures.known([file]).get(change.key)) is not None:
            return Broken(file, known, stored)
        finding = self._read(task, file, stored)
        if isinstance(finding, Broken) and change.source is Source.WATCH and change.attempts < WRITERS_PATIENCE:
            return Unreadable(f"it may be half-written: {finding.reason.text}")
        return finding

    def _read(self, task: Task, file: CorpusFile, stored: ImageRecord | None) -> Finding:
        match self._reader.read(task):
            case Known() as known:
                return Current() if stored is not None and _same(stored, known) else known
            case Fresh() as fresh:
                return fresh
            case Unusable(reason=reason, gone=False):
                return Unreadable(reason.text)
            case Unusable(reason=reason, lasting=True):
                return Broken(file, reason, stored)
        return Gone(stored)

    def _task(self, change: Change, file: CorpusFile, stored: Entry | None) -> Task:
        """Raises CorpusUnavailable."""
        told, given, marks = self._told(change.key), dict(change.facts or {}), {}
        if given:  # each field is marked with what the corpus says of it
            marks = dict(edit(told | dict(self._reader.sidecar(change.key, file.version)), given)[1])
        return Task(change.key, version_of(file, told), told | given, stored, file.version, marks)

    def _told(self, key: str) -> dict[str, Any]:
        """What the metadata files say of the image; nothing if that cannot be stored, which a sync reports."""
        try:
            return dict(plain_metadata(key, self._metadata.of(key)))
        except InvalidMetadata:
            return {}


def _same(stored: ImageRecord, known: Known) -> bool:
    new = with_stored_edits(known.record(stored), stored)
    return (stored.version, stored.metadata, stored.edited, stored.phash) == (new.version, new.metadata, new.edited, new.phash)
