"""Decides, for `access`, when the rows in Milvus Lite's memory are moved to a file.

Each file has its own index, and four files of a size are merged and indexed again, so few large files take the least work. Rows in
memory are read again after each write. So rows are moved early while there are searches, and late while there are none, as in an
import or a first sync.
"""

from collections.abc import Callable
from typing import Final

SLOW_ROWS: Final = 1000
"""This many rows in memory take 5 ms of the first search after a write."""

SLOW_AGE_S: Final = 60.0
"""How long a few rows may stay in memory, which is less work than a file for each of them."""

FULL_BYTES: Final = 96 * 2**20
"""Below the 128 MB at which Milvus Lite flushes by itself, even while others read. 100,000 rows of 512 dimensions make three files,
which took 0.84 of the processor time and 0.76 of the memory, merging and indexing included, of files of 4,096 rows."""

WRITE_BYTES: Final = 4096
"""A generous estimate of the memory of a write besides its rows, which is most of a small write's."""

DELETED_BYTES: Final = 256
"""A generous estimate of the memory of a deleted id."""

SEARCHED_S: Final = 60.0
"""How long after a search another one is expected."""


class Unflushed:
    """Counts the rows that are in no file yet. Only the holder of the writer's lock changes it, but any thread calls `searched`.

    `clock` is monotonic, in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rows = 0
        self._bytes = 0
        self._since = 0.0
        self._searched_at = -SEARCHED_S

    def add(self, rows: int, size: int) -> None:
        if not self._rows:
            self._since = self._clock()
        self._rows += rows
        self._bytes += size + WRITE_BYTES

    def clear(self) -> None:
        self._rows = self._bytes = 0

    def searched(self) -> None:
        self._searched_at = self._clock()

    @property
    def due(self) -> bool:
        """Whether they should be flushed now."""
        slow = self._rows >= SLOW_ROWS or (self._rows > 0 and self._clock() - self._since > SLOW_AGE_S)
        return self._bytes >= FULL_BYTES or (slow and self._clock() - self._searched_at < SEARCHED_S)
