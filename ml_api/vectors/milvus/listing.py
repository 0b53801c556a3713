"""Rows that no search finds: in the order of their ids, page by page, and by id, digest or filter.

What is written while a listing is read may or may not appear in it; nothing appears twice.
"""

from collections.abc import Iterator
from typing import Final

from ml_api.batched import batched
from ml_api.deadline import Deadline
from ml_api.vectors.base import MAX_WINDOW
from ml_api.vectors.filters import Filter
from ml_api.vectors.milvus import schema
from ml_api.vectors.milvus.access import PageQuery
from ml_api.vectors.milvus.calls import OpenCollection
from ml_api.vectors.milvus.filtered import ServerFilter

ENTRIES_AT_ONCE: Final = 5000
DIGESTS_AT_ONCE: Final = 1000

WHOLE_AT_ONCE: Final = 256
"""Most rows with their metadata in one message: each can carry 64 KB."""


def pages(
    opened: OpenCollection, operation: str, fields: list[str], after: str = "", until: str = ""
) -> Iterator[list[schema.Row]]:
    """All rows with ids above `after` and up to `until` ("" is no bound)."""
    while page := opened.page(operation, after, PageQuery(fields, ENTRIES_AT_ONCE, until)):
        yield page
        after = str(page[-1]["id"])


def pages_by_id(opened: OpenCollection, operation: str, fields: list[str], after: str) -> Iterator[list[schema.Row]]:
    """As `pages`, of large rows from a server: ids page by page, and their rows by id. It waits for its clock at each page (0.2-0.4
    s), and so many whole rows could be too large for a message.
    """
    for page in pages(opened, operation, ["id"], after):
        for ids in batched([str(row["id"]) for row in page], WHOLE_AT_ONCE):
            if rows := list(by_id(opened, operation, ids, fields)):  # none if they were deleted meanwhile
                yield sorted(rows, key=lambda row: str(row["id"]))


def by_id(
    opened: OpenCollection, operation: str, ids: list[str], fields: list[str], deadline: Deadline | None = None
) -> Iterator[schema.Row]:
    """Those of `ids`, which were checked to be hex, that are stored; in no order."""
    for some in batched(ids, WHOLE_AT_ONCE):
        yield from opened.of_ids(operation, some, fields, deadline)


def of_digests(opened: OpenCollection, digests: list[str], deadline: Deadline | None) -> list[schema.Row]:
    """Those whose files have one of these digests, which were checked to be hex; MAX_WINDOW at most."""
    found = [row for some in batched(digests, DIGESTS_AT_ONCE) for row in opened.of_digests(some, deadline)]
    return sorted(found, key=lambda row: str(row["id"]))[:MAX_WINDOW]


def fulfilling(opened: OpenCollection, after: str, limit: int, wanted: Filter, deadline: Deadline | None) -> Iterator[schema.Row]:
    """The rows that fulfil the filter with ids above `after`, `limit` of them at least or all.

    Rows of a server that have to be tested here carry their metadata, and so come in smaller pages.
    """
    asked = ServerFilter.of(wanted, opened)
    fields = [*schema.ENTRY_FIELDS, *(field for field in asked.fields if field not in schema.ENTRY_FIELDS)]
    at_once = limit if asked.left is None else WHOLE_AT_ONCE
    rows_wanted = PageQuery(fields, at_once, wanted=wanted, also=asked.text, consistency="Session")
    while page := opened.page("page", after, rows_wanted, deadline):
        yield from (row for row in page if asked.passes(row))
        if len(page) < at_once:
            return
        after = str(page[-1]["id"])


def count(opened: OpenCollection, wanted: Filter, deadline: Deadline | None) -> int:
    """How many rows fulfil the filter. Where a server cannot say the whole of it, its rows are read and tested."""
    asked = ServerFilter.of(wanted, opened)
    if asked.left is None:
        return opened.count(deadline, "Session", wanted, asked.text)
    return sum(1 for _ in fulfilling(opened, "", WHOLE_AT_ONCE, wanted, deadline))
