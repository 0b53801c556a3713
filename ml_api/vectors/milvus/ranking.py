"""Rankings of Milvus Lite's rows, within this process: by the indexes of its files, or by comparison.

Neither vectors nor rows travel through gRPC. A search of 20,000 rows took 11 ms, most of them under Python's lock.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from heapq import nsmallest
from typing import Final

import numpy as np
import numpy.typing as npt
from milvus_lite.index.brute_force import BruteForceIndex

from ml_api.records import Hit, ImageRecord, Vectors
from ml_api.vectors.base import Metric, SearchOptions
from ml_api.vectors.milvus.schema import RECORD_FIELDS, VECTOR, record_of
from ml_api.vectors.milvus.snapshots import Part, Parts, Passing
from ml_api.vectors.scoring import Scores, scores

MANY: Final = 4
"""More than one of so many rows."""
COPIED_AT_ONCE: Final = 4096

SCORE: Final[dict[Metric, Callable[[float], float]]] = {
    "COSINE": lambda distance: 1.0 - distance,
    "IP": lambda distance: -distance,
    "L2": lambda distance: -distance * distance,
}
"""From the engine's distances, which are smaller for what is closer."""

_Found = list[list[tuple[float, int]]]
"""For each query scores and numbers of rows of one part, in no order."""


def nearest(parts: Parts, vectors: Vectors, options: SearchOptions, metric: Metric, params: Mapping[str, int]) -> list[list[Hit]]:
    """What `options` name of the ranking of each vector. Rows that have no index (yet) are compared."""

    score = SCORE[metric]

    def found(part: Part) -> _Found:
        index = part.segment.indexes.get(VECTOR)
        if index is None or isinstance(index, BruteForceIndex):  # which copies all vectors at each search
            return _by_comparison(part, part.among(None), vectors, options.window, metric)
        if part.current is not None and not part.current.any():
            return [[] for _ in vectors]
        rows, distances = index.search(vectors, options.window, valid_mask=part.current, params=dict(params))
        return [
            [(score(distance), row) for row, distance in zip(near, far, strict=True) if row >= 0]
            for near, far in zip(rows.tolist(), distances.tolist(), strict=True)
        ]

    return _ranked(parts, map(found, parts), len(vectors), options)


def compared(parts: Parts, vectors: Vectors, options: SearchOptions, metric: Metric, passing: Passing | None) -> list[list[Hit]]:
    """What `options` name of the ranking of the rows that are `passing`; each is compared."""

    def found(part: Part) -> _Found:
        rows = part.among(None if passing is None else passing(part.segment))
        return _by_comparison(part, rows, vectors, options.window, metric)

    return _ranked(parts, map(found, parts), len(vectors), options)


def _ranked(parts: Parts, found: Iterable[_Found], queries: int, options: SearchOptions) -> list[list[Hit]]:
    together: list[list[tuple[float, int, int]]] = [[] for _ in range(queries)]
    for place, of_part in enumerate(found):
        for best, some in zip(together, of_part, strict=True):
            best += [(-score, place, row) for score, row in some]
    ranked = [nsmallest(options.window, some)[options.offset :] for some in together]
    records = _records(parts, {(place, row) for some in ranked for _, place, row in some})
    return [[Hit(records[place, row], -worse) for worse, place, row in some] for some in ranked]


def _records(parts: Parts, wanted: Iterable[tuple[int, int]]) -> dict[tuple[int, int], ImageRecord]:
    """By the place of a part and the number of a row in it. Each is read once, and those of a part together."""
    numbers: dict[int, list[int]] = defaultdict(list)
    for place, row in wanted:
        numbers[place].append(row)
    return {
        (place, row): record_of(cells)
        for place, some in numbers.items()
        for row, cells in zip(some, parts[place].rows(np.array(some), RECORD_FIELDS), strict=True)
    }


def _by_comparison(part: Part, rows: npt.NDArray[np.intp], vectors: Vectors, most: int, metric: Metric) -> _Found:
    if not rows.size:
        return [[] for _ in vectors]
    found = _scores(part, rows, vectors, metric)
    best = np.argpartition(-found, min(most, rows.size) - 1, axis=1)[:, :most]
    return [[(float(row[one]), int(rows[one])) for one in some] for row, some in zip(found, best, strict=True)]


def _scores(part: Part, rows: npt.NDArray[np.intp], vectors: Vectors, metric: Metric) -> Scores:
    """The scores of each vector with each of these rows. If they are many, all are compared: copying those takes longer."""
    stored = part.segment.vector_data(VECTOR)[0]
    if len(rows) > len(stored) // MANY:
        found = scores(metric, vectors, stored, part.lengths)
        return found if len(rows) == len(stored) else found[:, rows]
    some = (rows[start : start + COPIED_AT_ONCE] for start in range(0, len(rows), COPIED_AT_ONCE))
    return np.concatenate([scores(metric, vectors, stored[one], part.lengths[one]) for one in some], axis=1)
