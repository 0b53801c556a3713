"""Lines of text files, of any length and number, without trusting either."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from shutil import copyfileobj
from typing import BinaryIO, Final

MAX_LINE_BYTES: Final = 4 * 2**20
"""The largest vector that Milvus takes (32,768 numbers) has a fifth of it."""

_BLOCK: Final = 2**20


def count_lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(_BLOCK), b""))


def lines_of(file: BinaryIO) -> Iterator[bytes | None]:
    """Each line, with its end; None for one that is longer than MAX_LINE_BYTES."""
    while line := file.readline(MAX_LINE_BYTES):
        if len(line) < MAX_LINE_BYTES or line.endswith(b"\n"):
            yield line
            continue
        while (rest := file.readline(_BLOCK)) and not rest.endswith(b"\n"):
            pass
        yield None


def join_bytes(parts: Sequence[Path], whole: Path, *, without_first_lines: bool) -> None:
    """One after the other; of all but the first without its first line, if so told."""
    with whole.open("wb") as joined:
        for number, part in enumerate(parts):
            with part.open("rb") as file:
                if number and without_first_lines:
                    file.readline()
                copyfileobj(file, joined, _BLOCK)
