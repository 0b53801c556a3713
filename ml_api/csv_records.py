"""Records of CSV one by one, whatever is broken in between: a broken record ends with its first line, and reading continues there.

Otherwise a quote that is never closed would swallow the rest of the file, or as much of it as a record may have.
"""

import csv
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, Self, TypeVar

Line = TypeVar("Line")
UNLIMITED = 2**31 - 1
"""The module `csv` limits fields for the whole process, where readers with other limits run in other threads."""
Record = tuple[int, list[str] | None, str]
"""The number of its first line, and its values; or None, and what is wrong with it. An empty line has no values."""


def csv_records(
    lines: Iterator[Line], text: Callable[[Line], str], *, longest: int, delimiter: str = ",", first: int = 1
) -> Iterator[Record]:
    """`text` makes text of a line with its end, and raises ValueError for a broken one. `first` is the number of the first line.

    A record of more than `longest` characters is broken.
    """
    csv.field_size_limit(UNLIMITED)
    feed = _Feed(lines, text, longest)
    reader = csv.reader(feed, delimiter=delimiter, strict=True)
    number = first
    while True:
        feed.begin()
        try:
            values = next(reader)
        except StopIteration:
            return
        except (csv.Error, ValueError) as exc:
            feed.take_back()
            yield number, None, "not UTF-8" if isinstance(exc, UnicodeDecodeError) else f"not CSV: {exc}"
            number += 1
        else:
            yield number, values, ""
            number += len(feed.taken)


class _Feed(Generic[Line]):
    """An iterator over the lines to be read again, then the rest. `taken` has those of the record."""

    def __init__(self, lines: Iterator[Line], text: Callable[[Line], str], longest: int) -> None:
        self._lines = lines
        self._text = text
        self._longest = longest
        self._length = 0
        self._again: deque[Line] = deque()
        self.taken: list[Line] = []

    def begin(self) -> None:
        """A record."""
        self.taken.clear()
        self._length = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self.taken.append(line)
        text = self._text(line)
        self._length += len(text)
        if self._length > self._longest:
            raise ValueError(f"a record of more than {self._longest:,} characters")
        return text

    def take_back(self) -> None:
        """Read all but the first of the lines taken again."""
        self._again.extendleft(reversed(self.taken[1:]))
