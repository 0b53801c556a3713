"""Opens a path as a file of vectors, or as a folder of such files: finds its format, its model and its dimension."""

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ml_api.errors import ConfigError
from ml_api.vectors.files.avro import AvroFormat
from ml_api.vectors.files.base import BrokenRow, Row, VectorFormat
from ml_api.vectors.files.columns import model_of
from ml_api.vectors.files.csv import CsvFormat
from ml_api.vectors.files.jsonl import JsonLinesFormat
from ml_api.vectors.files.npy import NumpyFormat, is_layout
from ml_api.vectors.files.parquet import ParquetFormat

FORMATS: Final[dict[str, VectorFormat]] = {
    ".parquet": ParquetFormat(),
    ".jsonl": JsonLinesFormat(),
    ".ndjson": JsonLinesFormat(),
    ".json": JsonLinesFormat(),
    ".csv": CsvFormat(),
    ".avro": AvroFormat(),
    "": NumpyFormat(),
}
"""The format for each file name extension; "" is a folder."""


@dataclass(frozen=True, slots=True)
class VectorFile:
    """A file of vectors, or a folder of such files. `model_id` is None if it names no model."""

    path: Path
    rows: int
    """The number of rows, which may be an estimate."""
    model_id: str | None = None
    dim: int = 0
    """0 if no row can be read."""

    def read(self) -> Iterator[Row | BrokenRow]:
        """Yield the rows of all files. Raises InvalidInput at the first place after which nothing can be read."""
        files = _files(self.path)
        for file in files:
            for row in format_of(file).read(file):
                yield row if len(files) == 1 else _placed(file.name, row)


def format_to_write(path: Path) -> VectorFormat:
    """The format of a file to be written, by its name. Raises ConfigError for an unknown extension."""
    form = FORMATS.get(path.suffix.lower())
    if form is None:
        raise ConfigError(
            f"{path} has an ending of no vector file: .parquet, .jsonl, .csv, .avro, or none for a folder of NumPy arrays"
        )
    return form


def format_of(path: Path) -> VectorFormat:
    """The format of an existing file. Raises ConfigError."""
    if is_layout(path):
        return FORMATS[""]
    if path.suffix == ".npy":
        raise ConfigError(
            f"{path} holds vectors without keys; name the folder that holds img_emb/img_emb_0.npy and metadata/metadata_0.parquet"
        )
    if path.is_dir():
        raise ConfigError(f"{path} is a folder in a folder of vector files, and no folder of NumPy arrays (img_emb/)")
    if not path.suffix:
        raise ConfigError(f"{path} has no ending that says what it holds: .parquet, .jsonl, .csv or .avro; rename it")
    return format_to_write(path)


def open_vectors(path: Path) -> VectorFile:
    """Open a file, or all vector files of a folder, and read the first row. Raises ConfigError, InvalidInput and OSError."""
    files = _files(path)
    rows = sum(format_of(file).count(file) for file in files)
    whole = VectorFile(path, rows)
    for row in whole.read():
        if isinstance(row, Row):
            return VectorFile(path, rows, model_of(row.fields), len(row.vector))
    return whole


def _files(path: Path) -> list[Path]:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise ConfigError(f"there is no {path}") from None
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # opening a pipe would block until another process writes to it
        raise ConfigError(f"{path} is a pipe, a socket or a device; vectors are read from files, which are read twice")
    if not path.is_dir() or is_layout(path):
        return [path]
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in FORMATS and file.suffix and file.is_file())
    if not files:
        raise ConfigError(
            f"{path} holds no vector files: neither img_emb/ with NumPy arrays nor .parquet, .jsonl, .json, .csv, .avro"
        )
    return files


def _placed(name: str, row: Row | BrokenRow) -> Row | BrokenRow:
    place = f"{name}, {row.place}"
    return Row(place, row.fields, row.vector) if isinstance(row, Row) else BrokenRow(place, row.reason)
