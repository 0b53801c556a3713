"""The plan of a sync: compares file listings with stored entries. Reads no image and needs no model."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ml_api.batched import batched
from ml_api.corpus.base import Corpus, CorpusFile, Coverage, is_image
from ml_api.corpus.metadata import KEYS, FieldType, Metadata, fingerprint
from ml_api.errors import InvalidInput
from ml_api.images.perceptual import STORED_CHARS
from ml_api.indexing.failures import Failures
from ml_api.indexing.ledger import Ledger
from ml_api.indexing.tasks import AT_ONCE, EntryState, Reason, Task
from ml_api.records import Entry
from ml_api.vectors.base import MAX_KEY_BYTES, VectorStore
from ml_api.vectors.validation import plain_metadata
from ml_api.vocabulary import ReasonCode

FIELDS_SHOWN = 50
PROBLEMS_SHOWN = 20
"""Images whose metadata cannot be stored; others are counted."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sync is to do: its numbers here, the files and entries in `ledger`. Close it, or run it."""

    location: str
    ledger: Ledger
    new: int
    """Files to read whose keys are not stored."""
    replaced: int
    """The number of indexed images that have to be read again."""
    failed: int
    """Files that are known to fail; they are not read."""
    failed_stored: int
    """Those of them that are stored all the same."""
    removed: int
    moved: int
    """The number of removed images that were probably moved; see `Ledger.likely_moves`."""
    unchanged: int
    unlisted: int
    """Entries that stay although their files were not listed, because a folder above them could not be."""
    coverage: Coverage
    problems: tuple[str, ...]

    @property
    def to_read(self) -> int:
        return self.new + self.replaced

    @property
    def total(self) -> int:
        """The number of files and entries of this sync."""
        return self.to_read + self.failed + self.removed + self.unchanged + self.unlisted

    @property
    def found_nothing(self) -> bool:
        return self.total == self.removed

    @property
    def indexed(self) -> int:
        """The number of images in the index."""
        return self.removed + self.replaced + self.failed_stored + self.unchanged + self.unlisted

    def still_failing(self, keys: Sequence[str]) -> set[str]:
        """Those of `keys` that are known to fail, or whose folders could not be listed."""
        return self.ledger.among_failed(keys) | {key for key in keys if self.coverage.hides(key)}

    def close(self) -> None:
        self.ledger.close()


def make_plan(corpus: Corpus, store: VectorStore, failures: Failures, *, rehash: bool = False) -> Plan:
    """Compare. The store is asked before the corpus: a file that both receive meanwhile is then new, and not removed.

    With `rehash`, the files of images that have no perceptual hash of this version are read again.
    """
    ledger = Ledger()
    try:
        with corpus.metadata() as metadata:
            ledger.enter(store.entries())
            comparison = _Comparison(metadata, failures, ledger, rehash=rehash)
            for files in batched(corpus.list(comparison.coverage), AT_ONCE):
                comparison.take(files)
            return comparison.plan(corpus.location)
    except BaseException:
        ledger.close()
        raise


class _Comparison:
    def __init__(self, metadata: Metadata, failures: Failures, ledger: Ledger, *, rehash: bool) -> None:
        self.coverage = Coverage()
        self._metadata = metadata
        self._failures = failures
        self._ledger = ledger
        self._rehash = rehash
        self._problems = list(metadata.problems)
        self._unstorable = 0
        self._to_read = [0, 0]
        """New, stored."""
        self._failed = [0, 0]

    def take(self, files: Sequence[CorpusFile]) -> None:
        """Compare some of the files that are listed."""
        unusable = {shown_key(file.key): reason for file in files if (reason := _unusable(file.key)) is not None}
        entries = self._ledger.open_entries([file.key for file in files if shown_key(file.key) not in unusable])
        changed, kept = [], []
        for file in files:
            entry = entries.get(file.key)
            facts = self._storable(file.key)
            if entry is not None and _is_current(entry, file, facts, self._metadata) and not self._lacks_hash(entry):
                kept.append(file.key)
            else:
                changed.append(Task(shown_key(file.key), version_of(file, facts), facts, entry, file.version))
        self._ledger.settle(kept, EntryState.KEPT)
        self._plan(changed, unusable)

    def plan(self, location: str) -> Plan:
        """Once all files are taken."""
        self._settle_the_rest()
        if self._metadata.types:
            _log.info("metadata fields: %s", _typed(self._metadata.types))
        unmatched = self._metadata.without_image(lambda key: _may_be_there(key, self.coverage))
        if self._unstorable > PROBLEMS_SHOWN:
            self._problems.append(f"of {self._unstorable - PROBLEMS_SHOWN:,} more images the metadata cannot be stored")
        removed = self._ledger.count(EntryState.REMOVED)
        if sum(self._to_read):
            self._ledger.index()
        return Plan(
            location=location,
            ledger=self._ledger,
            new=self._to_read[0],
            replaced=self._to_read[1],
            failed=sum(self._failed),
            failed_stored=self._failed[1],
            removed=removed,
            moved=self._ledger.likely_moves() if removed and self._to_read[0] else 0,
            unchanged=self._ledger.count(EntryState.KEPT),
            unlisted=self._ledger.count(EntryState.UNLISTED),
            coverage=self.coverage,
            problems=(*self._problems, *_without_image(*unmatched)),
        )

    def _lacks_hash(self, entry: Entry) -> bool:
        return self._rehash and len(entry.phash) != STORED_CHARS

    def _storable(self, key: str) -> Mapping[str, Any]:
        """The image's metadata as stored; empty, with a problem recorded, if it cannot be stored. The image is indexed anyway."""
        try:
            return plain_metadata(key, self._metadata.of(key))
        except InvalidInput as exc:
            if self._unstorable < PROBLEMS_SHOWN:
                self._problems.append(exc.detail)
            self._unstorable += 1
            return {}

    def _plan(self, changed: Sequence[Task], unusable: Mapping[str, Reason]) -> None:
        asked = [CorpusFile(task.key, task.file_version) for task in changed if task.key not in unusable]
        reasons = {**self._failures.known(asked), **unusable}
        self._ledger.plan(changed, reasons)
        for task in changed:
            counted = self._failed if task.key in reasons else self._to_read
            counted[task.stored is not None] += 1
        stored = [task.key for task in changed if task.stored is not None]
        self._ledger.settle((key for key in stored if key in reasons), EntryState.FAILED)
        self._ledger.settle((key for key in stored if key not in reasons), EntryState.READ)

    def _settle_the_rest(self) -> None:
        """What is stored and was not listed."""
        if self.coverage.unlisted:
            for entries in batched(self._ledger.entries(EntryState.OPEN), AT_ONCE):
                hidden = [entry.key for _, entry in entries if self.coverage.hides(entry.key)]
                self._ledger.settle(hidden, EntryState.UNLISTED)
        self._ledger.settle_open(EntryState.REMOVED)


def shown_key(key: str) -> str:
    """The key as text that everything can store; a name that is not UTF-8 with backslash escapes."""
    return key.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _unusable(key: str) -> Reason | None:
    """Why no image can be stored under this key."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return Reason(ReasonCode.INVALID_KEY, "the file's name is not valid UTF-8; rename it")
    if "\0" in key:
        return Reason(ReasonCode.INVALID_KEY, "the file's name has a NUL character; rename it")
    if size > MAX_KEY_BYTES:
        return Reason(ReasonCode.INVALID_KEY, f"the path has {size:,} bytes; at most {MAX_KEY_BYTES:,} are allowed")
    return None


def _is_current(entry: Entry, file: CorpusFile, facts: Mapping[str, Any], metadata: Metadata) -> bool:
    """Whether the stored entry matches the file, and its metadata as far as that is known."""
    if not metadata.complete:
        return is_of(entry, file.version)
    return entry.version == version_of(file, facts)


def is_of(entry: Entry, file_version: str) -> bool:
    """Whether the entry is of this version of the file, whatever the metadata were."""
    return entry.version == file_version or entry.version.startswith(f"{file_version}-")


def version_of(file: CorpusFile, facts: Mapping[str, Any]) -> str:
    """What tells a change of the file or of its metadata."""
    return "-".join(filter(None, (file.version, fingerprint(facts))))


def _typed(types: Mapping[str, FieldType]) -> str:
    shown = [f"{name} ({kind})" for name, kind in islice(types.items(), FIELDS_SHOWN)]
    return ", ".join(shown) + (f" and {len(types) - FIELDS_SHOWN:,} more" if len(types) > FIELDS_SHOWN else "")


def _may_be_there(key: str, coverage: Coverage) -> bool:
    """Whether an image that was not listed may have this key, or this name of its file or folder, wherever that is."""
    return coverage.hides(key) or (bool(coverage.unlisted) and not is_image(key))


def _without_image(number: int, total: int, examples: list[str]) -> list[str]:
    """One line for any number, so that a column of wrong names is obvious: a table may have another one of KEYS than was meant."""
    if not number:
        return []
    told = f"{number:,} of {total:,} keys are of no image here, such as {', '.join(map(repr, examples))}"
    how = "by its key, the name of its file without the ending, or the name of its folder"
    return [f"{told}; a row names its image {how}, in the first that it has of the fields {', '.join(KEYS)}"]
