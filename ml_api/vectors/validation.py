"""Checks values before any store sends or writes them: every store accepts a value that passes."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ml_api.errors import InvalidInput, InvalidMetadata
from ml_api.records import ImageRecord, Vectors, is_image_id
from ml_api.vectors.base import MAX_KEY_BYTES, MAX_METADATA_BYTES, MAX_WINDOW

MAX_VERSION_BYTES = 480
DIGEST_CHARS = 64
MAX_HASH_BYTES = 32
"""Bytes for a perceptual hash after the version: for the hash of the whole picture, and for those of its middles if they fit."""

HASH_CHARS = 16
"""Digits of the hash of the whole picture, which comes first."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_HASH = re.compile(r"([0-9a-f]{16}|[0-9a-f]{48})?")

EDITED = "$edited"
"""The field of stored metadata with `ImageRecord.edited`, so that existing collections need no other schema."""

MAX_METADATA_DEPTH = 64
"""Levels of nested objects and lists. pydantic serialises up to 255."""


def distinct_ids(ids: Sequence[str]) -> list[str]:
    """The ids without repetitions. Raises ValueError for one that is not 32 hex digits, as ids become part of Milvus
    expressions."""
    for text in ids:
        if not is_image_id(text):
            raise ValueError(f"{text!r} is not an image id (32 hex digits)")
    return list(dict.fromkeys(ids))


def distinct_digests(digests: Sequence[str]) -> list[str]:
    """The digests without repetitions. Raises ValueError for one that is not 64 hex digits, as they become part of expressions."""
    for text in digests:
        if not _DIGEST.fullmatch(text):
            raise ValueError(f"{text!r} is not a digest (64 hex digits)")
    return list(dict.fromkeys(digests))


def check_bounds(after: str, until: str) -> None:
    """Check the bounds of a range of ids, each of which may be "". Raises ValueError as `distinct_ids` does."""
    distinct_ids([bound for bound in (after, until) if bound])


def check_page(limit: int) -> None:
    if not 1 <= limit <= MAX_WINDOW:
        raise ValueError(f"a page of {limit} images: at least 1, and at most {MAX_WINDOW}")


def check_vectors(vectors: Vectors, dim: int) -> None:
    """Raise ValueError unless vectors have shape (n, dim) and are finite: Milvus Lite stores NaN, and returns it as invalid
    JSON."""
    if vectors.ndim != 2 or vectors.shape[1] != dim:
        raise ValueError(f"vectors have shape {vectors.shape}, not (n, {dim})")
    if not np.isfinite(vectors).all():
        raise ValueError("vectors must be finite")


def check_records(records: Sequence[ImageRecord], vectors: Vectors, dim: int) -> list[Mapping[str, Any]]:
    """Check records with their vectors; returns the metadata to store (`plain_metadata`).

    Raises ValueError and, for values that a client chose, InvalidInput.
    """
    if len(records) != len(vectors):
        raise ValueError(f"{len(records)} records with {len(vectors)} vectors")
    check_vectors(vectors, dim)
    distinct_ids([record.id for record in records])
    for record in records:
        if len(record.version.encode()) > MAX_VERSION_BYTES or len(record.digest) > DIGEST_CHARS:
            raise ValueError(f"version or digest of {record.key!r} is too long")
        if not _HASH.fullmatch(record.phash):
            raise InvalidInput(f"the perceptual hash of {record.key!r} is not 16 hex digits")
        _check_key(record.key)
    return [plain_metadata(record.key, record.metadata, record.edited) for record in records]


def _check_key(key: str) -> None:
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise InvalidInput(f"the key {key!r} is not valid Unicode text") from None
    if size > MAX_KEY_BYTES:
        raise InvalidInput(f"the key {key[:80]!r}… has {size} bytes; at most {MAX_KEY_BYTES} are allowed")


def plain_metadata(key: str, given: Mapping[str, Any], edited: Mapping[str, str] | None = None) -> Mapping[str, Any]:
    """Return metadata as parsed from their own JSON, so that they mean the same in every store: no NaN, no integers beyond 64 bits.

    `edited` is added as a field, which `split_metadata` takes out. Raises InvalidMetadata.
    """
    if isinstance(given, Mapping) and EDITED in given:
        raise _invalid(key, f"must not have a field {EDITED!r}, which is ours")
    try:
        text = json.dumps({**given, EDITED: dict(edited)} if edited else given, allow_nan=False, ensure_ascii=False)
        size = len(text.encode())
        metadata = json.loads(text, parse_int=_int64)
    except (TypeError, ValueError, RecursionError):
        raise _invalid(
            key, "are not plain JSON: only text, finite numbers, whole ones within 64 bits, true, false, null, lists and objects"
        ) from None
    if size > MAX_METADATA_BYTES:
        raise _invalid(key, f"have {size} bytes of JSON; at most {MAX_METADATA_BYTES} are allowed")
    if not isinstance(metadata, dict):
        raise _invalid(key, "must be an object")
    if text.count("{") + text.count("[") > MAX_METADATA_DEPTH and _depth(metadata) > MAX_METADATA_DEPTH:
        raise _invalid(key, f"are nested more than {MAX_METADATA_DEPTH} levels deep")
    return metadata


def split_metadata(stored: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    """Split stored metadata into the metadata of an image, and `ImageRecord.edited`."""
    if EDITED not in stored:
        return stored, {}
    return {name: value for name, value in stored.items() if name != EDITED}, stored[EDITED]


def _invalid(key: str, what: str) -> InvalidMetadata:
    return InvalidMetadata(f"the metadata of {repr(key)[:200]} {what}")


def _depth(value: Any) -> int:
    """The depth of nested objects and lists; 0 for other values. Without recursion, as values may be nested deeper than its
    limit."""
    depth, level = 0, [value]
    while level := [nested for nested in level if isinstance(nested, dict | list)]:
        depth += 1
        level = [inner for nested in level for inner in (nested.values() if isinstance(nested, dict) else nested)]
    return depth


def _int64(digits: str) -> int:
    number = int(digits)
    if not -(2**63) <= number < 2**63:
        raise ValueError("integer out of range")
    return number
