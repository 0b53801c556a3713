"""What a Milvus server is asked in a filter's place, the test of the rows that it sends, and filtered listings."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self

from ml_api.deadline import Deadline
from ml_api.records import Hit, ImageRecord
from ml_api.vectors.filters import Filter, holds
from ml_api.vectors.filters.columns import columns_of
from ml_api.vectors.filters.expression import expression
from ml_api.vectors.milvus import schema
from ml_api.vectors.milvus.access import Page
from ml_api.vectors.milvus.calls import OpenCollection

WIDER: Final = 4
"""How many times as far the index looks where a filter lets only some of what it meets through (docs/decisions/0066-filters.md)."""

ROWS_AT_ONCE: Final = 256
"""Rows with their metadata in one message: each can carry 64 KB."""


@dataclass(frozen=True, slots=True)
class Asked:
    text: str = ""
    """The expression; empty for all rows."""
    left: Filter | None = None
    """What is still to be tested, if the expression is not the whole of the filter."""

    @classmethod
    def of(cls, wanted: Filter | None, opened: OpenCollection) -> Self:
        if wanted is None:
            return cls()
        compiled = expression(wanted, columns_of(opened.fields))
        return cls(compiled.text, None if compiled.whole else wanted)

    @property
    def fields(self) -> list[str]:
        """The columns that the test needs."""
        return [] if self.left is None else [field for field in schema.RECORD_FIELDS if field != "id"]

    def passes(self, row: schema.Row) -> bool:
        return self.left is None or self.lets(schema.record_of(row))

    def lets(self, record: ImageRecord) -> bool:
        return self.left is None or holds(self.left, record)

    def accepts(self, found: Sequence[Sequence[Hit]], limit: int) -> bool:
        """Whether a search of the index can stand as it is: full, and of rows that fulfil the filter.

        A short answer may be short as few rows fulfil the filter, which are quickly compared; or as the index led past them.
        """
        return all(len(hits) == limit and all(self.lets(hit.record) for hit in hits) for hits in found)


def count(opened: OpenCollection, wanted: Filter, deadline: Deadline | None) -> int:
    """How many rows fulfil the filter. Where a server cannot say the whole of it, its rows are read and tested."""
    with opened.searching("count", deadline):
        here = opened.access.count(opened.collection, wanted)
    if here is not None:
        return here
    asked = Asked.of(wanted, opened)
    if asked.left is None:
        return opened.count(asked.text, deadline, "Session")
    return sum(1 for _ in _of_server(opened, "", ROWS_AT_ONCE, wanted, deadline))


def entries(opened: OpenCollection, after: str, limit: int, wanted: Filter, deadline: Deadline | None) -> Iterator[schema.Row]:
    """The rows that fulfil the filter with ids above `after`, in the order of ids, `limit` of them at least or all."""
    with opened.searching("page", deadline):
        here = opened.access.page(opened.collection, after, Page(schema.ENTRY_FIELDS, limit), wanted)
    return iter(here) if here is not None else _of_server(opened, after, limit, wanted, deadline)


def _of_server(opened: OpenCollection, after: str, limit: int, wanted: Filter, deadline: Deadline | None) -> Iterator[schema.Row]:
    """Rows that have to be tested here carry their metadata, and so come in smaller pages."""
    asked = Asked.of(wanted, opened)
    fields = [*schema.ENTRY_FIELDS, *(field for field in asked.fields if field not in schema.ENTRY_FIELDS)]
    at_once = limit if asked.left is None else ROWS_AT_ONCE
    rows_wanted = Page(fields, at_once, also=asked.text, consistency="Session")
    while page := opened.page("page", after, rows_wanted, deadline):
        yield from (row for row in page if asked.passes(row))
        if len(page) < at_once:
            return
        after = str(page[-1]["id"])
