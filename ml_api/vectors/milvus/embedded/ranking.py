"""Ranks Milvus Lite's rows within this process, for `server`: by the indexes of its files, or by comparison.

Through gRPC a search of 20,000 rows took 11 ms, most of them under Python's lock.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import repeat
from typing import Any, Final

import faiss
import numpy as np
import numpy.typing as npt
from milvus_lite.index.brute_force import BruteForceIndex

from ml_api.records import Hit, ImageRecord, Vectors
from ml_api.vectors.base import MetricType, SearchOptions
from ml_api.vectors.milvus.embedded.parts import Mask, Part, Parts, Passing
from ml_api.vectors.milvus.schema import RECORD_FIELDS, VECTOR, records_of
from ml_api.vectors.scoring import Scores, lengths, scores

MANY: Final = 4
"""If more than one in this many rows is compared, all are: copying them would take longer."""
COPIED_AT_ONCE: Final = 4096

_Scored = tuple[list[list[float]], list[list[int]]]
"""For each query the negative scores and the row numbers of hits in one part, in no order; the numbers of missing hits are -1."""


def nearest(
    parts: Parts, vectors: Vectors, options: SearchOptions, metric: MetricType, params: Mapping[str, int]
) -> list[list[Hit]]:
    """The part of each vector's ranking that `options` select, by the index. Rows without an index (yet) are compared."""

    def scored(part: Part) -> _Scored:
        index = part.segment.indexes.get(VECTOR)
        if index is None or isinstance(index, BruteForceIndex):  # BruteForceIndex copies all vectors at each search
            return _by_comparison(part, part.among(None), vectors, options.window, metric)
        return _by_index(index, part.current, vectors, options.window, metric, params)

    return _ranked(parts, map(scored, parts), len(vectors), options)


def compared(
    parts: Parts, vectors: Vectors, options: SearchOptions, metric: MetricType, passing: Passing | None
) -> list[list[Hit]]:
    """The part of each vector's ranking that `options` select, by comparison with all rows that are `passing`."""

    def scored(part: Part) -> _Scored:
        rows = part.among(None if passing is None else passing(part.segment))
        return _by_comparison(part, rows, vectors, options.window, metric)

    return _ranked(parts, map(scored, parts), len(vectors), options)


def _ranked(parts: Parts, scored: Iterable[_Scored], queries: int, options: SearchOptions) -> list[list[Hit]]:
    """Merge the hits in all parts to one ranking for each query."""
    candidates: list[list[tuple[float, int, int]]] = [[] for _ in range(queries)]
    for place, of_part in enumerate(scored):
        for of_query, worse, rows in zip(candidates, *of_part, strict=True):
            of_query.extend(zip(worse, repeat(place), rows, strict=False))  # strict would not take what repeats without end
    ranked = [[hit for hit in sorted(of_query)[options.offset : options.window] if hit[2] >= 0] for of_query in candidates]
    records = _records(parts, {(place, row) for of_query in ranked for _, place, row in of_query})
    return [[Hit(records[place, row], -worse) for worse, place, row in of_query] for of_query in ranked]


def _records(parts: Parts, positions: Iterable[tuple[int, int]]) -> dict[tuple[int, int], ImageRecord]:
    """The records by the index of a part and the number of a row in it. Each is read once, and those of a part together."""
    by_part: dict[int, list[int]] = defaultdict(list)
    for place, row in positions:
        by_part[place].append(row)
    return {
        (place, row): record
        for place, rows in by_part.items()
        for row, record in zip(rows, records_of(parts[place].columns(np.array(rows), RECORD_FIELDS)), strict=True)
    }


def _nothing(vectors: Vectors) -> _Scored:
    return [[] for _ in vectors], [[] for _ in vectors]


def _by_index(  # noqa: PLR0913, PLR0917 - one call of the index
    index: Any, current: Mask | None, vectors: Vectors, most: int, metric: MetricType, params: Mapping[str, int]
) -> _Scored:
    """The `most` nearest of a file's current rows for each vector.

    Milvus Lite's own call of the index makes a set of all current rows' numbers each time (2 ms of a core for 34,000 rows, where
    the rest takes 0.1), and sets `ef` for the searches of other threads, too.
    """
    wanted = {} if current is None else {"sel": faiss.IDSelectorBitmap(np.packbits(current, bitorder="little"))}
    if "ef" in params:
        chosen = faiss.SearchParametersHNSW(efSearch=params["ef"], **wanted)
    else:
        chosen = faiss.SearchParametersIVF(nprobe=params["nprobe"], **wanted)
    if metric == "COSINE":  # by the inner product with stored vectors of length 1
        vectors = vectors / lengths(vectors)[:, None]
    found, rows = index._index.search(vectors, most, params=chosen)  # noqa: SLF001 - Milvus Lite is pinned
    return (found if metric == "L2" else -found).tolist(), rows.tolist()


def _by_comparison(part: Part, rows: npt.NDArray[np.intp], vectors: Vectors, most: int, metric: MetricType) -> _Scored:
    """The `most` best of these rows for each vector."""
    if not rows.size:
        return _nothing(vectors)
    worse = -_scores(part, rows, vectors, metric)
    best = np.argpartition(worse, min(most, rows.size) - 1, axis=1)[:, :most]
    return np.take_along_axis(worse, best, axis=1).tolist(), rows[best].tolist()


def _scores(part: Part, rows: npt.NDArray[np.intp], vectors: Vectors, metric: MetricType) -> Scores:
    """The score of each vector with each of these rows (vectors, rows)."""
    stored = part.segment.vector_data(VECTOR)[0]
    if len(rows) > len(stored) // MANY:
        of_all = scores(metric, vectors, stored, part.lengths)
        return of_all if len(rows) == len(stored) else of_all[:, rows]
    batches = (rows[start : start + COPIED_AT_ONCE] for start in range(0, len(rows), COPIED_AT_ONCE))
    return np.concatenate([scores(metric, vectors, stored[batch], part.lengths[batch]) for batch in batches], axis=1)
