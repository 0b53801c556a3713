"""Rows of the queue: made from notices, renewed by later ones, and claimed."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sqlalchemy import Insert, case, func, null, or_

from ml_api.database import Database
from ml_api.database.tables import ChangeRow
from ml_api.indexing.changes.conditions import Source


@dataclass(frozen=True, slots=True)
class Change:
    """A claimed row. `facts` are the metadata that came with an upload, None if none did."""

    key: str
    notice: str
    source: Source
    attempts: int
    facts: Mapping[str, Any] | None
    claimed_until: float


def row_of(corpus: str, key: str, source: Source, not_before: float, facts: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {
        "corpus": corpus,
        "key": key,
        "notice": uuid4().hex,
        "source": source.value,
        "received_at": time.time(),
        "not_before": not_before,
        "claimed_until": 0.0,
        "attempts": 0,
        "error": "",
        "after_sync": False,
        "facts": null() if facts is None else dict(facts),
    }


def noting(database: Database, rows: Sequence[Mapping[str, Any]], renewed: Sequence[str]) -> Insert:
    """Insert rows. For a key that waits already, the columns `renewed` are updated, and metadata if the new row has some; a claim
    stays as it is.
    """
    adding = database.insert(ChangeRow).values(rows)
    new = adding.excluded
    values = {name: new[name] for name in renewed}
    values["facts"] = func.coalesce(new.facts, ChangeRow.facts)
    is_new = or_(ChangeRow.after_sync.is_(True), new.source == Source.GONE.value)
    values["received_at"] = case((is_new, new.received_at), else_=ChangeRow.received_at)
    inserting: Insert = adding.on_conflict_do_update(index_elements=["corpus", "key"], set_=values)
    return inserting


def storable(key: str) -> bool:
    """Whether the key has no NUL, which PostgreSQL cannot store, and no lone surrogates, as of file names that are not UTF-8."""
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in key
