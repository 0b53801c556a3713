"""When the rows in Milvus Lite's memory are moved to a file.

A file is indexed by itself, and four of a size are merged and indexed again: few large files take the least. Rows in memory are
read anew after each write. So they are moved early while somebody searches, and late while nobody does, as in an import or a first
sync.
"""

from collections.abc import Callable
from typing import Final

SLOW_ROWS: Final = 1000
"""So many in memory take 5 ms of the first search after a write."""

SLOW_AGE_S: Final = 60.0
"""A few rows may stay in memory so long, which is less work than a file for each of them."""

FULL_BYTES: Final = 96 * 2**20
"""Below the 128 MB at which Milvus Lite flushes by itself, while others read. 100,000 rows of 512 dimensions make three files, and
took 0.84 of the processor time and 0.76 of the memory, merging and indexing included, that files of 4,096 rows took."""

WRITE_BYTES: Final = 4096
"""What a write takes in memory besides its rows, generously: a small one is mostly that."""

DELETED_BYTES: Final = 256
"""What an id that is deleted takes there, likewise."""

SEARCHED_S: Final = 60.0
"""For so long after a search the next one is expected."""


class Unflushed:
    """The rows that are in no file yet. Changed by who has the writer's lock, but for `searched`; `clock` is monotonic, in s."""

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
    def many(self) -> bool:
        """So many that no search should scan them."""
        return self._rows >= SLOW_ROWS

    @property
    def slow(self) -> bool:
        """Whether a search should have them flushed before."""
        return self.many or (self._rows > 0 and self._clock() - self._since > SLOW_AGE_S)

    @property
    def due(self) -> bool:
        """Whether a write should flush them."""
        return self._bytes >= FULL_BYTES or (self.slow and self._clock() - self._searched_at < SEARCHED_S)
