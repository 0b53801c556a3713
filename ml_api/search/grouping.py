"""Groups of a ranking: hits that belong together stand behind the best of them, which leads the group.

A hit joins the first leader before it that it belongs to; else it leads a group itself. So who leads depends on the better hits
alone: read further, a ranking has the same leaders, in the same order, and more of them. No page repeats a group of an earlier one.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from ml_api.duplicates import Evidence, Kind, Thresholds
from ml_api.images.perceptual import distances, tells_apart
from ml_api.records import Hit
from ml_api.vectors.filters import Field, scalar, value_of

DUPLICATES: Final = "duplicates"
Grouping = Field | Literal["duplicates"]
"""By a field of the metadata; or equal and near-identical pictures."""

READ_AHEAD: Final = 2
"""How many hits a group are read at first: some are copies."""
MOST_READ: Final = 3840
"""Hits of a ranking that is grouped; it ends there."""
AT_ONCE: Final = 768
"""Hits read by one further call: as many as fit in a message of Milvus's with the largest metadata."""

NEAR: Final = Thresholds(near_similarity=0.95)
"""As duplicates are told, but surer: a red dress is not to be hidden behind the same in blue. What is alike by the embedding alone
stays apart, as it is often a series, and so do pictures of one colour each, which all have the same hash."""
BLOCK: Final = 256
"""Hashes that are compared with all others at once: 8 MB."""

VectorsOf = Callable[[Sequence[str]], Mapping[str, npt.NDArray[np.float32]]]
"""The stored vectors (dim,) of ids. Those that were deleted meanwhile are absent."""


def leaders(hits: Sequence[Hit], by: Grouping, vectors_of: VectorsOf) -> list[int]:
    """Of each hit the place of the one that leads its group; its own if it leads.

    `vectors_of` is called once at most, and only if the perceptual hashes leave two pictures to compare.
    """
    return _alike(hits, vectors_of) if by == DUPLICATES else _of_one_value(hits, by)


def _of_one_value(hits: Sequence[Hit], field: Field) -> list[int]:
    first: dict[Hashable, int] = {}
    values = (_value(value_of(hit.record, field)) for hit in hits)
    return [place if value is None else first.setdefault(value, place) for place, value in enumerate(values)]


def _value(value: Any) -> Hashable:
    """A list is one value. None for what can be compared with nothing: no value, an object, or a list of such."""
    if not isinstance(value, list):
        return scalar(value)
    elements = tuple(scalar(one) for one in value)
    return elements if elements and None not in elements else None


def _alike(hits: Sequence[Hit], vectors_of: VectorsOf) -> list[int]:
    first: dict[str, int] = {}
    copies = [first.setdefault(hit.record.digest, place) for place, hit in enumerate(hits)]
    before = _near_before(hits, [place for place in first.values() if tells_apart(hits[place].record.phash)], vectors_of)
    led: list[int] = []
    for place, copy in enumerate(copies):
        if copy < place:
            led.append(led[copy])
        else:
            led.append(next((earlier for earlier in before.get(place, ()) if led[earlier] == earlier), place))
    return led


def _near_before(hits: Sequence[Hit], places: Sequence[int], vectors_of: VectorsOf) -> Mapping[int, list[int]]:
    """Of the hits at these places, which rise, those before it that show nearly the same picture."""
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
    """Pairs of places in `hashes`, the earlier first, in order, with the bits that differ."""
    pairs: list[tuple[int, int, int]] = []
    for start in range(0, len(hashes), BLOCK):
        bits = distances(hashes[start : start + BLOCK], hashes[start:])
        rows, columns = np.nonzero(np.triu(bits <= NEAR.near_bits, 1))
        found = zip(rows.tolist(), columns.tolist(), bits[rows, columns].tolist(), strict=True)
        pairs += [(start + row, start + column, differ) for row, column, differ in found]
    return pairs
