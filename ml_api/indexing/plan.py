"""What a sync has to do, found by comparing file listings with stored entries. Reads no image and needs no model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ml_api.corpus.folder import CorpusFile, FolderCorpus
from ml_api.corpus.metadata import Metadata, fingerprint, read_metadata
from ml_api.errors import ConfigError, InvalidInput
from ml_api.records import Entry
from ml_api.vectors.base import VectorStore
from ml_api.vectors.validation import plain_metadata


@dataclass(frozen=True, slots=True)
class Task:
    """One file to read, and what is stored under its key, if anything."""

    key: str
    version: str
    metadata: Mapping[str, Any]
    stored: Entry | None


@dataclass(frozen=True, slots=True)
class Plan:
    tasks: list[Task]
    removed: list[Entry]
    reusable: Mapping[str, Entry]
    """By digest: entries whose vectors stay as they are during this sync, so that equal bytes need no second embedding."""
    unchanged: int
    problems: tuple[str, ...]

    @property
    def total(self) -> int:
        """Files and entries that this sync accounts for."""
        return len(self.tasks) + len(self.removed) + self.unchanged


def make_plan(corpus: FolderCorpus, store: VectorStore, *, allow_empty: bool = False) -> Plan:
    """Compare. Raises ConfigError for an empty corpus over a filled store: more likely a lost mount than a wish.

    With `allow_empty` an empty corpus empties the store.
    """
    metadata = read_metadata(corpus.root)
    stored = {entry.key: entry for entry in store.entries()}
    problems = list(metadata.problems)
    tasks: list[Task] = []
    kept: list[Entry] = []
    for file in corpus.list():
        facts = _storable(file.key, metadata, problems)
        version = _version(file, facts)
        entry = stored.pop(file.key, None)
        if entry is not None and entry.version == version:
            kept.append(entry)
        else:
            tasks.append(Task(file.key, version, facts, entry))
    if stored and not tasks and not kept and not allow_empty:
        raise ConfigError(
            f"{corpus.root} holds no images, but {len(stored)} are indexed: is the folder mounted? "
            "To empty the index on purpose, add --allow-empty"
        )
    removed = list(stored.values())
    reusable = {entry.digest: entry for entry in kept + removed}
    return Plan(tasks, removed, reusable, len(kept), tuple(problems))


def _storable(key: str, metadata: Metadata, problems: list[str]) -> Mapping[str, Any]:
    """The image's metadata as they can be stored; none, and a problem noted, if they cannot: the image itself is sound."""
    try:
        return plain_metadata(key, metadata.by_key.get(key, {}))
    except InvalidInput as exc:
        problems.append(exc.detail)
        return {}


def _version(file: CorpusFile, metadata: Mapping[str, Any]) -> str:
    return "-".join(filter(None, (file.version, fingerprint(metadata))))
