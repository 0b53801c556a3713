"""The plan of a sync: compares file listings with stored entries. Reads no image and needs no model."""

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ml_api.corpus.base import Corpus, CorpusFile, Coverage, is_image
from ml_api.corpus.metadata import FieldType, Metadata, fingerprint
from ml_api.errors import InvalidInput
from ml_api.indexing.failures import Failures
from ml_api.records import Entry
from ml_api.vectors.base import VectorStore
from ml_api.vectors.validation import plain_metadata

FIELDS_SHOWN = 50

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Task:
    """A file to read, and the entry stored under its key, if any."""

    key: str
    version: str
    metadata: Mapping[str, Any]
    stored: Entry | None
    file_version: str
    """The version of the bytes, without the metadata's part."""


@dataclass(frozen=True, slots=True)
class Plan:
    location: str
    tasks: list[Task]
    failed: list[tuple[Task, str]]
    """Files that are known to fail, with the reasons; they are not read."""
    removed: list[Entry]
    reusable: Mapping[str, Entry]
    """By digest, entries whose vectors this sync does not change, so that equal bytes need no second embedding."""
    unchanged: int
    unlisted: int
    """Entries that stay although their files were not listed, because a folder above them could not be."""
    coverage: Coverage
    problems: tuple[str, ...]

    @property
    def total(self) -> int:
        """The number of files and entries of this sync."""
        return len(self.tasks) + len(self.failed) + len(self.removed) + self.unchanged + self.unlisted

    @property
    def found_nothing(self) -> bool:
        return self.total == len(self.removed)

    @property
    def replaced(self) -> int:
        """The number of indexed images that have to be read again."""
        return sum(task.stored is not None for task in self.tasks)

    @property
    def indexed(self) -> int:
        """The number of images in the index."""
        failed = sum(task.stored is not None for task, _ in self.failed)
        return len(self.removed) + self.replaced + failed + self.unchanged + self.unlisted

    @property
    def moved(self) -> int:
        """The number of removed images that were probably moved: a new file has their size and time, to the nanosecond."""
        new = Counter(task.file_version for task in self.tasks if task.stored is None)
        gone = Counter(version for entry in self.removed for version in _file_versions(entry) if version in new)
        return (new & gone).total()


def make_plan(corpus: Corpus, store: VectorStore, failures: Failures) -> Plan:
    """Compare. Removes files that no longer exist from `failures`."""
    with corpus.metadata() as metadata:
        return _plan(corpus, store, failures, metadata)


def _plan(corpus: Corpus, store: VectorStore, failures: Failures, metadata: Metadata) -> Plan:
    coverage = Coverage()
    stored = {entry.key: entry for entry in store.entries()}
    problems = list(metadata.problems)
    tasks: list[Task] = []
    failed: dict[str, tuple[Task, str]] = {}
    kept: list[Entry] = []
    for file in corpus.list(coverage):
        facts = _storable(file.key, metadata, problems)
        entry = stored.pop(file.key, None)
        if entry is not None and _is_current(entry, file, facts, metadata):
            kept.append(entry)
            continue
        task = Task(file.key, _version(file, facts), facts, entry, file.version)
        reason = failures.reason(file.key, file.version)
        if reason is None:
            tasks.append(task)
        else:
            failed[file.key] = task, reason
    failures.keep(lambda key: key in failed or coverage.hides(key))
    unlisted = [entry for entry in stored.values() if coverage.hides(entry.key)]
    removed = [entry for entry in stored.values() if not coverage.hides(entry.key)]
    if metadata.types:
        _log.info("metadata fields: %s", _typed(metadata.types))
    problems += _without_image(*metadata.without_image(lambda key: _may_be_there(key, coverage)))
    reusable = {entry.digest: entry for entry in kept + unlisted + removed}
    return Plan(
        corpus.location,
        tasks,
        list(failed.values()),
        removed,
        reusable,
        len(kept),
        len(unlisted),
        coverage,
        tuple(problems),
    )


def _storable(key: str, metadata: Metadata, problems: list[str]) -> Mapping[str, Any]:
    """The image's metadata as stored; empty, with a problem recorded, if it cannot be stored. The image is indexed anyway."""
    try:
        return plain_metadata(key, metadata.of(key))
    except InvalidInput as exc:
        problems.append(exc.detail)
        return {}


def _is_current(entry: Entry, file: CorpusFile, facts: Mapping[str, Any], metadata: Metadata) -> bool:
    """Whether the stored entry matches the file, and its metadata as far as that is known."""
    if not metadata.complete:
        return entry.version == file.version or entry.version.startswith(f"{file.version}-")
    return entry.version == _version(file, facts)


def _file_versions(entry: Entry) -> tuple[str, str]:
    """Possible versions of the bytes: the whole version, or the part before the metadata's fingerprint."""
    return entry.version, entry.version.rpartition("-")[0]


def _version(file: CorpusFile, facts: Mapping[str, Any]) -> str:
    return "-".join(filter(None, (file.version, fingerprint(facts))))


def _typed(types: Mapping[str, FieldType]) -> str:
    shown = [f"{name} ({kind})" for name, kind in islice(types.items(), FIELDS_SHOWN)]
    return ", ".join(shown) + (f" and {len(types) - FIELDS_SHOWN:,} more" if len(types) > FIELDS_SHOWN else "")


def _may_be_there(key: str, coverage: Coverage) -> bool:
    """Whether an image that was not listed may have this key, or file stem, which does not tell a folder."""
    return coverage.hides(key) or (bool(coverage.unlisted) and not is_image(key))


def _without_image(number: int, total: int, examples: list[str]) -> list[str]:
    """One line for any number, so that a column of wrong names is obvious."""
    return [f"{number:,} of {total:,} keys are of no image here, such as {', '.join(map(repr, examples))}"] if number else []
