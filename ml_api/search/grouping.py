"""Groups the hits of a ranking, for `pages`: hits that belong together follow the best of them, the leader of the group.

A hit joins the first leader before it that it belongs to; otherwise it leads a new group. Leaders thus depend on better hits only:
if more of a ranking is read, its leaders stay the same, in the same order, and more follow. So no page repeats a group.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ml_api.duplicates import DuplicateThresholds, Evidence, Kind
from ml_api.images.perceptual import distances, is_comparable
from ml_api.records import Hit
from ml_api.vectors.filters import Field, scalar, value_of

DUPLICATES: Final = "duplicates"
Grouping = Field | Literal["duplicates"]
"""What groups images: the same value of a field, or equal and near-identical pictures."""

READ_AHEAD: Final = 2
"""Hits that are read at first for each group of the page, as some hits are copies."""
MAX_READ: Final = 3840
"""A grouped ranking ends after this many hits."""
READ_AT_ONCE: Final = 768
"""Hits that each further call reads: as many as fit in a message of Milvus with the largest metadata."""

NEAR: Final = DuplicateThresholds(near_similarity=0.95)
"""Stricter than for the listing of duplicates: a red dress must not be hidden behind the same dress in blue. Pictures that are
similar by the embedding alone stay separate, as they are often a series; so do pictures of one colour, which all have the same
hash."""
HASHES_AT_ONCE: Final = 256
"""Hashes that are compared with all others in one step, which takes 8 MB."""

VectorsOf = Callable[[Sequence[str]], Mapping[str, npt.NDArray[np.float32]]]
"""Returns the stored vectors (dim,) by id. Those of images that were deleted meanwhile are absent."""


def leaders(hits: Sequence[Hit], by: Grouping, vectors_of: VectorsOf) -> list[int]:
    """Return for each hit the index of the leader of its group, its own index if it leads.

    `vectors_of` is called at most once, and only if the perceptual hashes leave two pictures to compare.
    """
    return _alike(hits, vectors_of) if by == DUPLICATES else _of_one_value(hits, by)


def _of_one_value(hits: Sequence[Hit], field: Field) -> list[int]:
    first: dict[Hashable, int] = {}
    values = (_value(value_of(hit.record, field)) for hit in hits)
    return [place if value is None else first.setdefault(value, place) for place, value in enumerate(values)]


def _value(value: Any) -> Hashable:
    """A scalar, or a list of scalars as a whole. None for what forms no group: an absent value, an object, or a list with one."""
    if not isinstance(value, list):
        return scalar(value)
    elements = tuple(scalar(element) for element in value)
    return elements if elements and None not in elements else None


def _alike(hits: Sequence[Hit], vectors_of: VectorsOf) -> list[int]:
    first: dict[str, int] = {}
    copies = [first.setdefault(hit.record.digest, place) for place, hit in enumerate(hits)]
    before = _near_before(hits, [place for place in first.values() if is_comparable(hits[place].record.phash)], vectors_of)
    led: list[int] = []
    for place, copy in enumerate(copies):
        if copy < place:
            led.append(led[copy])
        else:
            led.append(next((earlier for earlier in before.get(place, ()) if led[earlier] == earlier), place))
    return led


def _near_before(hits: Sequence[Hit], places: Sequence[int], vectors_of: VectorsOf) -> Mapping[int, list[int]]:
    """For the hits at `places` (in rising order), the earlier places that show nearly the same picture."""
    pairs = _near_by_hash([hits[place].record.phash for place in places])
    if not pairs:
        return {}
    ids = [hits[place].record.id for place in places]
    vectors = vectors_of(sorted({ids[place] for pair in pairs for place in (pair.earlier, pair.later)}))
    before: dict[int, list[int]] = {}
    for pair in pairs:
        first, second = vectors.get(ids[pair.earlier]), vectors.get(ids[pair.later])
        if first is not None and second is not None and NEAR.kind(Evidence(float(first @ second), pair.bits)) is Kind.NEAR:
            before.setdefault(places[pair.later], []).append(places[pair.earlier])
    return before


class _Pair(NamedTuple):
    """Indices of two pictures, and in how many bits their hashes differ."""

    earlier: int
    later: int
    bits: int


def _near_by_hash(hashes: Sequence[str]) -> list[_Pair]:
    """The pairs of similar `hashes`, in order."""
    pairs: list[_Pair] = []
    for start in range(0, len(hashes), HASHES_AT_ONCE):
        bits = distances(hashes[start : start + HASHES_AT_ONCE], hashes[start:])
        rows, columns = np.nonzero(np.triu(bits <= NEAR.near_bits, 1))
        near = zip(rows.tolist(), columns.tolist(), bits[rows, columns].tolist(), strict=True)
        pairs += [_Pair(start + row, start + column, differ) for row, column, differ in near]
    return pairs
