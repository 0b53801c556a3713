"""Reads a page of the listing from the store: images in the order of ids, optionally only those whose keys begin with a prefix."""

from typing import Final

from ml_api.api.schemas import ListParameters
from ml_api.corpus.metadata import comparable
from ml_api.deadline import Deadline
from ml_api.records import Entry
from ml_api.vectors.base import VectorStore
from ml_api.vectors.filters import Filter

SCANNED: Final = 10_000
"""The most entries whose keys one request compares with a prefix."""
GROWTH: Final = 8
"""Each further read has this many times as many entries: a frequent prefix takes few entries, a rare one four reads."""


def listed(
    store: VectorStore, wanted: ListParameters, passing: Filter | None, deadline: Deadline
) -> tuple[list[Entry], str | None]:
    """Return the images of a page, and the cursor of the next one.

    Keys are compared here and not by the store, as no text of a client becomes part of an expression. So that a rare prefix does
    not occupy a thread for long, a request ends after SCANNED entries, and the next request continues there.
    """
    prefix, after, found = comparable(wanted.prefix), wanted.cursor or "", list[Entry]()
    at_once = wanted.limit + 1
    left = SCANNED if prefix else at_once
    while left and len(found) < wanted.limit:
        at_once = min(at_once, left)
        page = store.page(after, at_once, deadline, filter=passing)
        for entry in page:
            if len(found) == wanted.limit:
                return found, after
            after = entry.id
            if comparable(entry.key).startswith(prefix):
                found.append(entry)
        if len(page) < at_once:
            return found, None
        left, at_once = left - at_once, GROWTH * at_once
    return found, after
