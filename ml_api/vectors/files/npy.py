"""Reads and writes NumPy arrays beside Parquet files, in the layout of clip-retrieval: `img_emb/img_emb_0.npy`,
`metadata/metadata_0.parquet`."""

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from ml_api.errors import InvalidInput
from ml_api.records import ImageRecord, Vectors
from ml_api.vectors.files.base import ROWS_AT_ONCE, BrokenRow, Row, unreadable
from ml_api.vectors.files.parquet import opened, table_of

_ARRAYS = "img_emb"
_METADATA = "metadata"
_NUMBERED = re.compile(r"img_emb_(\d+)\.npy")


class NumpyFormat:
    """The VectorFormat of folders of NumPy arrays, which are of float16, float32 or float64, never of Python objects."""

    suffix = ""

    def count(self, path: Path) -> int:
        return sum(_header(array).rows for array, _ in _pieces(path))

    def read(self, path: Path) -> Iterator[Row | BrokenRow]:
        for array, metadata in _pieces(path):
            header = _header(array)
            with opened(metadata) as file:
                if file.metadata.num_rows != header.rows:
                    raise unreadable(array, f"it has {header.rows:,} rows, but {metadata.name} has {file.metadata.num_rows:,}")
                vectors = _rows(array, header)
                number = 0
                for batch in file.iter_batches(ROWS_AT_ONCE):
                    for fields in batch.to_pylist():
                        number += 1
                        yield Row(f"{array.name}, row {number:,}", fields, next(vectors))

    def write(self, path: Path, model_id: str, records: Sequence[ImageRecord], vectors: Vectors) -> None:
        array, metadata = _names(path, "0")
        array.parent.mkdir(parents=True)
        metadata.parent.mkdir()
        np.save(array, vectors, allow_pickle=False)
        pq.write_table(table_of(records, model_id), metadata)

    def join(self, parts: Sequence[Path], whole: Path) -> None:
        """Put the files of all parts into one folder under new numbers, as hard links if the file system supports them."""
        digits = len(str(len(parts) - 1))
        for number, part in enumerate(parts):
            for source, target in zip(_names(part, "0"), _names(whole, f"{number:0{digits}}"), strict=True):
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.link(source, target)
                except OSError:
                    shutil.copy2(source, target)


def is_layout(path: Path) -> bool:
    return (path / _ARRAYS).is_dir()


def _names(folder: Path, number: str) -> tuple[Path, Path]:
    return folder / _ARRAYS / f"img_emb_{number}.npy", folder / _METADATA / f"metadata_{number}.parquet"


def _pieces(folder: Path) -> list[tuple[Path, Path]]:
    found = (_NUMBERED.fullmatch(file.name) for file in (folder / _ARRAYS).iterdir())
    numbers = sorted((match[1] for match in found if match), key=int)
    if not numbers:
        raise unreadable(folder, f"there is no {_ARRAYS}/img_emb_0.npy in it")
    pieces = [_names(folder, number) for number in numbers]
    for array, metadata in pieces:
        if not array.is_file():  # opening a pipe would block until another process writes to it
            raise unreadable(folder, f"{array.name} is no file")
        if not metadata.is_file():
            raise unreadable(folder, f"{array.name} has no {_METADATA}/{metadata.name} beside it, which holds its keys")
    return pieces


@dataclass(frozen=True, slots=True)
class _Header:
    rows: int
    dim: int
    dtype: np.dtype[Any]
    start: int
    """The offset of the numbers in the file, in bytes."""


def _header(path: Path) -> _Header:
    """Read the header of an array. Raises InvalidInput unless the file has as many bytes as the header claims."""
    with path.open("rb") as file:
        try:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = read(file)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as exc:
            raise unreadable(path, "it is no NumPy array (.npy)") from exc
        start = file.tell()
    if dtype.hasobject:
        raise unreadable(path, "it holds pickled Python objects, which could run any program; save an array of float32")
    if dtype.kind != "f" or len(shape) != 2 or (fortran and min(shape) > 1):
        order = ", column by column" if fortran else ""
        raise unreadable(path, f"it holds {dtype} of shape {shape}{order}, not rows of float32, float16 or float64")
    claimed, there = shape[0] * shape[1] * dtype.itemsize, path.stat().st_size - start
    if claimed > there:
        raise unreadable(path, f"its header claims {claimed:,} bytes of shape {shape}, but {there:,} are there")
    return _Header(shape[0], shape[1], dtype, start)


def _rows(path: Path, header: _Header) -> Iterator[npt.NDArray[np.float32]]:
    with path.open("rb") as file, np.errstate(over="ignore"):
        file.seek(header.start)
        for start in range(0, header.rows, ROWS_AT_ONCE):
            count = min(ROWS_AT_ONCE, header.rows - start)
            numbers = np.fromfile(file, header.dtype, count * header.dim)
            if len(numbers) != count * header.dim:
                raise InvalidInput(f"{path} became shorter while it was read")
            yield from numbers.reshape(count, header.dim).astype(np.float32)
