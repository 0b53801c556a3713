"""What every store checks alike, before anything is sent or written: a value that passes is accepted by each of them."""

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
"""Of the perceptual hash, with what separates it from the version."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_HASH = re.compile(r"([0-9a-f]{16})?")


def distinct_ids(ids: Sequence[str]) -> list[str]:
    """Without repetitions. Raises ValueError for an id that is not 32 hex digits: ids become part of Milvus expressions."""
    for text in ids:
        if not is_image_id(text):
            raise ValueError(f"{text!r} is not an image id (32 hex digits)")
    return list(dict.fromkeys(ids))


def distinct_digests(digests: Sequence[str]) -> list[str]:
    """Without repetitions. Raises ValueError for a digest that is not 64 hex digits, for the reason of `distinct_ids`."""
    for text in digests:
        if not _DIGEST.fullmatch(text):
            raise ValueError(f"{text!r} is not a digest (64 hex digits)")
    return list(dict.fromkeys(digests))


def check_bounds(after: str, until: str) -> None:
    """Bounds of a range of ids, each of which may be empty. Raises ValueError, for the reason of `distinct_ids`."""
    distinct_ids([bound for bound in (after, until) if bound])


def check_page(limit: int) -> None:
    if not 1 <= limit <= MAX_WINDOW:
        raise ValueError(f"a page of {limit} images: at least 1, and at most {MAX_WINDOW}")


def check_vectors(vectors: Vectors, dim: int) -> None:
    """Raises ValueError unless of shape (n, dim) and finite: Milvus Lite stores NaN and answers with invalid JSON."""
    if vectors.ndim != 2 or vectors.shape[1] != dim:
        raise ValueError(f"vectors have shape {vectors.shape}, not (n, {dim})")
    if not np.isfinite(vectors).all():
        raise ValueError("vectors must be finite")


def check_records(records: Sequence[ImageRecord], vectors: Vectors, dim: int) -> list[Mapping[str, Any]]:
    """The records' metadata as JSON gives them back. Raises ValueError and, for what a client chose, InvalidInput."""
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
    return [plain_metadata(record.key, record.metadata) for record in records]


def _check_key(key: str) -> None:
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        raise InvalidInput(f"the key {key!r} is not valid Unicode text") from None
    if size > MAX_KEY_BYTES:
        raise InvalidInput(f"the key {key[:80]!r}… has {size} bytes; at most {MAX_KEY_BYTES} are allowed")


def plain_metadata(key: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Metadata through JSON and back: one meaning in every store, no NaN, no integers that 64 bits cannot hold.

    Raises InvalidMetadata.
    """
    try:
        text = json.dumps(given, allow_nan=False, ensure_ascii=False)
        size = len(text.encode())
        metadata = json.loads(text, parse_int=_int64)
    except (TypeError, ValueError, RecursionError):
        raise InvalidMetadata(
            f"the metadata of {key!r} are not plain JSON: only text, finite numbers, true, false, null, lists and objects"
        ) from None
    if size > MAX_METADATA_BYTES:
        raise InvalidMetadata(f"the metadata of {key!r} have {size} bytes of JSON; at most {MAX_METADATA_BYTES} are allowed")
    if not isinstance(metadata, dict):
        raise InvalidMetadata(f"the metadata of {key!r} must be an object")
    return metadata


def _int64(digits: str) -> int:
    number = int(digits)
    if not -(2**63) <= number < 2**63:
        raise ValueError("integer out of range")
    return number
