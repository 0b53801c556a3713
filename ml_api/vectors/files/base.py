"""The contract of a format of vector files: rows come out one by one, whatever is broken, and go in as whole files to be joined."""

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
    """One row as the file has it. `fields` are its columns without the vector, under the file's own names."""

    place: str
    """For messages: `row 17`, `line 18`."""
    fields: dict[str, Any]
    vector: npt.NDArray[np.float32]
    """Shape (n,); n may differ from row to row, the values need not be finite."""


@dataclass(frozen=True, slots=True)
class BrokenRow:
    place: str
    reason: str


class VectorFormat(Protocol):
    """A way to keep records with their vectors in a file. Stateless; what is read may be anybody's file."""

    @property
    def suffix(self) -> str:
        """The ending of files that are written, such as `.parquet`; empty for folders."""
        ...

    def count(self, path: Path) -> int:
        """The number of rows, or an estimate of it, without decoding them. Raises InvalidInput and OSError."""
        ...

    def read(self, path: Path) -> Iterator[Row | BrokenRow]:
        """Every row, in memory that does not grow with the file.

        Raises InvalidInput at the place from which nothing more can be read, and OSError.
        """
        ...

    def write(self, path: Path, model_id: str, records: Sequence[ImageRecord], vectors: Vectors) -> None:
        """A new file of these rows, perhaps none. `model_id` stands in every row. Raises OSError."""
        ...

    def join(self, parts: Sequence[Path], whole: Path) -> None:
        """One new file of the rows of `parts`, at least one, which `write` made; the parts stay. Raises OSError."""
        ...


def vector_of(value: object) -> npt.NDArray[np.float32]:
    """A list of numbers as a vector; what float32 cannot hold becomes infinite. Raises ValueError with what it is instead."""
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
