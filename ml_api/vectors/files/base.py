"""The contract of a format of vector files: rows are read one by one, broken ones apart, and written as files that are joined."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ml_api.errors import InvalidInput
from ml_api.records import ImageRecord, Vectors

ROWS_AT_ONCE = 1024
"""Rows that a reader of a binary format decodes at once."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file. `fields` are its columns without the vector, under the file's own names."""

    place: str
    """Its place for messages: `row 17`, `line 18`."""
    fields: dict[str, Any]
    vector: npt.NDArray[np.float32]
    """Shape (n,); n may differ from row to row, the values need not be finite."""


@dataclass(frozen=True, slots=True)
class BrokenRow:
    """A row that cannot be read, with the reason."""

    place: str
    reason: str


class VectorFormat(Protocol):
    """A file format for records with their vectors. Stateless. Files that are read are untrusted."""

    @property
    def suffix(self) -> str:
        """The file name extension of written files, such as `.parquet`; "" for folders."""
        ...

    def count(self, path: Path) -> int:
        """Return the number of rows, or an estimate, without decoding them. Raises InvalidInput and OSError."""
        ...

    def read(self, path: Path) -> Iterator[Row | BrokenRow]:
        """Yield every row, in memory that does not grow with the file.

        Raises InvalidInput at the first place after which nothing can be read, and OSError.
        """
        ...

    def write(self, path: Path, model_id: str, records: Sequence[ImageRecord], vectors: Vectors) -> None:
        """Write a new file of these rows, which may be none. Every row contains `model_id`. Raises OSError."""
        ...

    def join(self, parts: Sequence[Path], whole: Path) -> None:
        """Write a new file of the rows of `parts`, at least one, which `write` made; the parts stay. Raises OSError."""
        ...


def vector_of(value: object) -> npt.NDArray[np.float32]:
    """Convert a list of numbers to a vector; numbers beyond float32 become infinite. Raises ValueError for other values."""
    try:
        with np.errstate(over="ignore"):
            vector = np.asarray(value, dtype=np.float32)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("the vector is not a list of numbers") from None
    if vector.ndim != 1:
        raise ValueError("the vector is missing" if value is None else "the vector is not a flat list of numbers")
    return vector


def unreadable(path: Path, why: str) -> InvalidInput:
    return InvalidInput(f"{path} cannot be read: {why}")
