"""The rows of one of Milvus Lite's files, or of its table in memory: which of them are current, and their fields; for `views`."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ml_api.vectors.milvus.schema import VECTOR, Row
from ml_api.vectors.scoring import Lengths, lengths

FEW: Final = 8
"""Fewer rows than this are read cell by cell: Arrow takes 40 µs of a core for one row, 85 for 250, and 3 for each row so."""

Mask = npt.NDArray[np.bool_]
Passing = Callable[[Any], Mask]
"""Returns the mask of a segment's rows, including old ones, that fulfil a filter."""


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of a file, or those in memory."""

    segment: Any
    """Milvus Lite's segment."""
    current: Mask | None
    """Which rows are current; None means all."""
    lengths: Lengths
    """The lengths of the vectors."""

    @classmethod
    def of(cls, segment: Any, current: Mask | None) -> Self:
        return cls(segment, current, lengths(segment.vector_data(VECTOR)[0]))

    def without(self, ids: Iterable[str]) -> "Part":
        """The part after the rows of these ids were replaced or deleted."""
        rows = [row for row in map(self.segment.pk_to_row.get, ids) if row is not None]
        if not rows:
            return self
        current = np.ones(self.segment.num_rows, np.bool_) if self.current is None else self.current.copy()
        current[rows] = False
        return replace(self, current=current)

    @property
    def count(self) -> int:
        """The number of current rows."""
        return int(self.segment.num_rows if self.current is None else np.count_nonzero(self.current))

    def among(self, mask: Mask | None) -> npt.NDArray[np.intp]:
        """The numbers of the current rows in `mask`; of all current rows if it is None."""
        masks = [rows for rows in (mask, self.current) if rows is not None]
        return np.flatnonzero(np.all(masks, axis=0)) if masks else np.arange(self.segment.num_rows)

    def having_ids(self, ids: Iterable[str]) -> npt.NDArray[np.intp]:
        """The numbers of the current rows with these ids."""
        rows = np.array([row for row in map(self.segment.pk_to_row.get, ids) if row is not None], dtype=np.intp)
        return rows if self.current is None else rows[self.current[rows]]

    def rows(self, numbers: npt.NDArray[np.intp], fields: Sequence[str]) -> list[Row]:
        """Read rows by their numbers, in this order, with these fields."""
        columns = self.columns(numbers, fields)
        return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]

    def columns(self, numbers: npt.NDArray[np.intp], fields: Sequence[str]) -> dict[str, Sequence[Any]]:
        """Read rows by their numbers, as columns in this order."""
        cells = self._cells([name for name in fields if name != VECTOR], numbers)
        if "metadata" in cells:
            cells["metadata"] = json.loads(f"[{','.join(cells['metadata'])}]")
        if VECTOR in fields:
            cells[VECTOR] = self.segment.vector_data(VECTOR)[0][numbers]
        return cells

    def _cells(self, fields: Sequence[str], numbers: npt.NDArray[np.intp]) -> dict[str, Any]:
        read = self.segment.table.select(fields)
        if len(numbers) < FEW:
            rows = numbers.tolist()
            return {name: [column[row].as_py() for row in rows] for name, column in zip(fields, read.columns, strict=True)}
        whole: dict[str, Any] = read.take(numbers).to_pydict()
        return whole


def having(segment: Any, name: str, values: Sequence[str]) -> Mask:
    """The mask of a segment's rows, including old ones, that have one of `values` in the field `name`."""
    mask = pc.is_in(segment.table.column(name), pa.array(values, pa.string()))
    return np.asarray(mask.to_numpy(), dtype=np.bool_)


Parts = tuple[Part, ...]
