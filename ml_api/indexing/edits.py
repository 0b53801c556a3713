"""Edits: metadata that were set or removed over the API, and how syncs keep them.

The newest value of a field counts. An edit marks the field with a hash of the value that the corpus had then. While the corpus has
that value, the edit stays, whatever else happens to the file; once the corpus has another value, that counts, and the edit is
dropped. A copy of an image has no edits; a moved image keeps them.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from ml_api.deadline import Deadline
from ml_api.errors import InvalidMetadata, MlApiError, NotFound
from ml_api.records import Entry, ImageRecord, Vectors
from ml_api.vectors.base import VectorStore, no_image
from ml_api.vectors.validation import plain_metadata

NOTHING = ""
"""The mark of a field for which the corpus has no value."""

_log = logging.getLogger(__name__)

Facts = Mapping[str, Any]
Superseded = Callable[[Sequence[str]], AbstractContextManager[AbstractSet[str]]]
"""Returns those of some keys whose files are read again for a later change: what was read of them before must not be written.

Records of the other keys are written within the context.
"""


def none_superseded(keys: Sequence[str]) -> AbstractContextManager[AbstractSet[str]]:  # noqa: ARG001 - as Superseded
    return nullcontext(frozenset())


def merged(target: Any, patch: Any) -> Any:
    """RFC 7396: objects are merged, null removes, all else replaces. Raises RecursionError for what is nested too deeply."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def edit(facts: Facts, patch: Facts, edited: Mapping[str, str] | None = None) -> tuple[Facts, Mapping[str, str]]:
    """Apply a merge patch; returns the metadata, and the marks of all edited fields. `edited` are the marks of earlier edits."""
    marks = {name: _mark(facts, name) for name in patch}
    return merged(facts, patch), marks | dict(edited or {})


def with_stored_edits(record: ImageRecord, stored: ImageRecord | None) -> ImageRecord:
    """A record from the corpus, with those edits of the stored record that are still valid. Its own edits take precedence."""
    if stored is None:
        return record
    still = [name for name, mark in stored.edited.items() if name not in record.edited and _mark(record.metadata, name) == mark]
    return _with_edits(record, stored, still)


def with_edits_of(record: ImageRecord, stored: ImageRecord) -> ImageRecord:
    """A record of another model, with the edits of the stored record, which take precedence over its own."""
    still = [name for name, mark in stored.edited.items() if record.edited.get(name, _mark(record.metadata, name)) == mark]
    return _with_edits(record, stored, still)


def _with_edits(record: ImageRecord, stored: ImageRecord, names: Sequence[str]) -> ImageRecord:
    if not names:
        return record
    metadata, edited = dict(record.metadata), dict(record.edited)
    for name in names:
        edited[name] = stored.edited[name]
        metadata.pop(name, None)
        if name in stored.metadata:
            metadata[name] = stored.metadata[name]
    try:
        plain_metadata(record.key, metadata, edited)
    except InvalidMetadata as exc:
        _log.warning("metadata: %s; what was edited there is lost", exc.detail)
        return record
    return replace(record, metadata=metadata, edited=edited)


def upsert_keeping_edits(
    store: VectorStore,
    records: Sequence[ImageRecord],
    vectors: Vectors,
    superseded: Superseded = none_superseded,
    moved: Mapping[str, Entry] = MappingProxyType({}),
) -> None:
    """Upsert records from the corpus, with the edits of the records that they replace, and of images that have moved to them.

    `moved` has, by new id, the entry of a moved image as it was read. If it has not changed since, it is deleted when its successor
    is written, so that its edits move once. Raises as `VectorStore.upsert` does.
    """
    with store.exclusive(), superseded([record.key for record in records]) as left:
        if left:
            rows = [row for row, record in enumerate(records) if record.key not in left]
            records, vectors = [records[row] for row in rows], vectors[rows]
        if records:
            before = {record.id: moved[record.id] for record in records if record.id in moved}
            stored = store.get([*(record.id for record in records), *(entry.id for entry in before.values())])
            there = {new: stored[old.id] for new, old in before.items() if old.id in stored and is_unchanged(old, stored[old.id])}
            records = [with_stored_edits(record, there.get(record.id)) for record in records]
            store.upsert([with_stored_edits(record, stored.get(record.id)) for record in records], vectors)
            if there:
                store.delete([old.id for old in there.values()])


def is_unchanged(entry: Entry, now: Entry | None) -> bool:
    """Whether the record was not written for another version or content of the file since the entry was read."""
    return now is None or (now.version, now.digest) == (entry.version, entry.digest)


def delete_unchanged(store: VectorStore, entries: Sequence[Entry], superseded: Superseded) -> None:
    """Delete the entries that were not written since they were read."""
    with store.exclusive(), superseded([entry.key for entry in entries]) as left:
        stored = store.get([entry.id for entry in entries])
        store.delete([entry.id for entry in entries if entry.key not in left and is_unchanged(entry, stored.get(entry.id))])


def delete_locked(store: VectorStore, ids: Sequence[str], deadline: Deadline | None = None) -> None:
    """Delete images under the lock of edits, so that an edit that has read them does not write them back. Raises
    DeadlineExceeded."""
    with store.exclusive(deadline):
        store.delete(ids)


def patch_metadata(store: VectorStore, image_id: str, patch: Facts | None, deadline: Deadline) -> ImageRecord:
    """Apply a merge patch to the metadata of a stored image; None removes them all. The vector is stored again as it was.

    Raises NotFound, InvalidMetadata and what the store raises.
    """
    [outcome] = patch_all(store, [(image_id, patch)], deadline)
    if isinstance(outcome, MlApiError):
        raise outcome
    return outcome


def patch_all(
    store: VectorStore, patches: Sequence[tuple[str, Facts | None]], deadline: Deadline
) -> list[ImageRecord | NotFound | InvalidMetadata]:
    """Apply merge patches by id, in their order, as `patch_metadata` does, and write what has changed at once.

    Returns for each the record, or why it has none. Raises what the store raises; then some may be written.
    """
    ids = list(dict.fromkeys(image_id for image_id, _ in patches))
    with store.exclusive(deadline):
        vectors, records = store.vectors(ids, deadline), store.get(ids, deadline)
        stored = {image_id: record for image_id, record in records.items() if image_id in vectors}
        outcomes: list[ImageRecord | NotFound | InvalidMetadata] = []
        for image_id, patch in patches:
            if image_id not in records or image_id not in vectors:
                outcomes.append(no_image(image_id))
                continue
            try:
                records[image_id] = _patched(records[image_id], patch)
                outcomes.append(records[image_id])
            except InvalidMetadata as exc:
                outcomes.append(exc)
        changed = [image_id for image_id, record in stored.items() if records[image_id] != record]
        if changed:
            store.upsert([records[image_id] for image_id in changed], np.stack([vectors[image_id] for image_id in changed]))
    return outcomes


def _patched(record: ImageRecord, patch: Facts | None) -> ImageRecord:
    """Raises InvalidMetadata."""
    try:
        metadata, edited = edit(record.metadata, dict.fromkeys(record.metadata) if patch is None else patch, record.edited)
    except RecursionError:
        raise InvalidMetadata("metadata: is nested too deeply") from None
    plain_metadata(record.key, metadata, edited)
    return replace(record, metadata=metadata, edited=edited)


def _mark(facts: Facts, name: str) -> str:
    if name not in facts:
        return NOTHING
    return hashlib.sha256(json.dumps(facts[name], sort_keys=True).encode()).hexdigest()[:16]
