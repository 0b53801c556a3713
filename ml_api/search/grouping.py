"""Groups of a ranking: hits that belong together stand behind the best of them, which leads the group.

A hit joins the first leader before it that it belongs to; otherwise it leads a group of its own. Leaders thus depend on better
hits alone: if more of a ranking is read, its leaders stay, in the same order, and more follow. So no page repeats a group.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from ml_api.duplicates import DuplicateThresholds, Evidence, Kind
from ml_api.images.perceptual import distances, is_comparable
from ml_api.records import Hit
from ml_api.vectors.filters import Field, scalar, value_of

DUPLICATES: Final = "duplicates"
Grouping = Field | Literal["duplicates"]
"""Images with the same value of a field, or equal and near-identical pictures."""

READ_AHEAD: Final = 2
"""How many hits are read at first for each group that is wanted: some are copies."""
MAX_READ: Final = 3840
"""A grouped ranking ends after this many hits."""
READ_AT_ONCE: Final = 768
"""Hits that each further call reads: as many as fit in a message of Milvus's with the largest metadata."""

NEAR: Final = DuplicateThresholds(near_similarity=0.95)
"""Stricter than for the listing of duplicates: a red dress must not be hidden behind the same dress in blue. Pictures that are
alike by the embedding alone stay apart, as they are often a series; so do pictures of one colour, which all have the same hash."""
HASHES_AT_ONCE: Final = 256
"""Hashes that are compared with all others in one step, which takes 8 MB."""

VectorsOf = Callable[[Sequence[str]], Mapping[str, npt.NDArray[np.float32]]]
"""The stored vectors (dim,) of ids. Those that were deleted meanwhile are absent."""


def leaders(hits: Sequence[Hit], by: Grouping, vectors_of: VectorsOf) -> list[int]:
    """For each hit the index of the hit that leads its group, which is its own if it leads.

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
    elements = tuple(scalar(one) for one in value)
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
    """For hits at these places (in rising order) the places before them that show nearly the same picture."""
    pairs = _near_by_hash([hits[place].record.phash for place in places])
    if not pairs:
        return {}
    ids = [hits[place].record.id for place in places]
    vectors = vectors_of(sorted({ids[one] for earlier, later, _ in pairs for one in (earlier, later)}))
    before: dict[int, list[int]] = {}
    for earlier, later, bits in pairs:
        one, other = vectors.get(ids[earlier]), vectors.get(ids[later])
        if one is not None and other is not None and NEAR.kind(Evidence(float(one @ other), bits)) is Kind.NEAR:
            before.setdefault(places[later], []).append(places[earlier])
    return before


def _near_by_hash(hashes: Sequence[str]) -> list[tuple[int, int, int]]:
    """Pairs of near places in `hashes`, the earlier first, in order, with the number of bits that differ."""
    pairs: list[tuple[int, int, int]] = []
    for start in range(0, len(hashes), HASHES_AT_ONCE):
        bits = distances(hashes[start : start + HASHES_AT_ONCE], hashes[start:])
        rows, columns = np.nonzero(np.triu(bits <= NEAR.near_bits, 1))
        found = zip(rows.tolist(), columns.tolist(), bits[rows, columns].tolist(), strict=True)
        pairs += [(start + row, start + column, differ) for row, column, differ in found]
    return pairs
