"""Reads and joins text files line by line, for the formats `csv` and `jsonl`. Length and number of lines are untrusted."""

from collections.abc import Iterable, Iterator, Sequence
from os import SEEK_END
from pathlib import Path
from shutil import copyfileobj
from typing import BinaryIO, Final

from ml_api.vectors.files.base import BrokenRow, Row, unreadable

MAX_LINE_BYTES: Final = 4 * 2**20
"""Longest line: five times the largest vector that Milvus accepts (32,768 numbers)."""

_BLOCK: Final = 2**20


def count_lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(_BLOCK), b""))


def lines_of(file: BinaryIO) -> Iterator[bytes | None]:
    """Yield each line with its line end; None for one longer than MAX_LINE_BYTES."""
    while line := file.readline(MAX_LINE_BYTES):
        if len(line) < MAX_LINE_BYTES or line.endswith(b"\n"):
            yield line
            continue
        while (rest := file.readline(_BLOCK)) and not rest.endswith(b"\n"):
            pass
        yield None


def to_the_end(path: Path, rows: Iterable[Row | BrokenRow]) -> Iterator[Row | BrokenRow]:
    """Yield the rows of a file. Raises InvalidInput if the file ends within its last line: further rows may be missing, too."""
    last: Row | BrokenRow | None = None
    for row in rows:
        if last is not None:
            yield last
        last = row
    if isinstance(last, BrokenRow) and not _ends_a_line(path):
        raise unreadable(path, f"it ends in the middle of {last.place} ({last.reason}); what follows is missing")
    if last is not None:
        yield last


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, SEEK_END)
        return file.read(1) == b"\n"


def join_bytes(parts: Sequence[Path], whole: Path, *, without_first_lines: bool) -> None:
    """Concatenate files; with `without_first_lines`, all but the first without their first lines, the headers."""
    with whole.open("wb") as joined:
        for number, part in enumerate(parts):
            with part.open("rb") as file:
                if number and without_first_lines:
                    file.readline()
                copyfileobj(file, joined, _BLOCK)
