"""What a Milvus server is asked in a filter's place, the test of the rows that it sends, and filtered listings."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from typing import Final, Self

from ml_api.deadline import Deadline
from ml_api.records import Hit, ImageRecord
from ml_api.vectors.filters import Filter, holds
from ml_api.vectors.filters.columns import columns_of
from ml_api.vectors.filters.expression import expression
from ml_api.vectors.milvus import schema
from ml_api.vectors.milvus.access import Page
from ml_api.vectors.milvus.calls import OpenCollection, among

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


def rows(opened: OpenCollection, after: str, limit: int, wanted: Filter, deadline: Deadline | None) -> Iterator[schema.Row]:
    """Those that fulfil the filter with ids above `after`, in the order of ids; `limit` of them at least, if there are so many."""
    while (ids := _ids(opened, after, limit, wanted, deadline)) is not None:
        for start in range(0, len(ids), ROWS_AT_ONCE):
            among_some = among(ids[start : start + ROWS_AT_ONCE])
            some = opened.query("page", deadline, filter=among_some, output_fields=schema.RECORD_FIELDS)
            yield from (row for row in sorted(some, key=lambda row: str(row["id"])) if holds(wanted, schema.record_of(row)))
        if len(ids) < limit:
            return
        after = ids[-1]  # some of these may have been deleted meanwhile
    yield from _of_server(opened, after, limit, wanted, deadline)


def count(opened: OpenCollection, wanted: Filter, deadline: Deadline | None) -> int:
    """How many rows fulfil the filter. Where a server cannot say the whole of it, its rows are read and tested."""
    with opened.searching("count", deadline):
        matching = opened.access.matching(opened.collection, wanted)
        if matching is not None:
            return sum(len(some.ids) for some in matching)
    asked = Asked.of(wanted, opened)
    if asked.left is None:
        return opened.count(asked.text, deadline, "Session")
    return sum(1 for _ in _of_server(opened, "", ROWS_AT_ONCE, wanted, deadline))


def _ids(opened: OpenCollection, after: str, limit: int, wanted: Filter, deadline: Deadline | None) -> list[str] | None:
    """The `limit` smallest above `after` of rows that fulfil the filter; None if a server has to be asked."""
    with opened.searching("page", deadline):
        matching = opened.access.matching(opened.collection, wanted)
        return None if matching is None else nsmallest(limit, (one for some in matching for one in some.ids if one > after))


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
