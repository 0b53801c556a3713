"""What changes between syncs: keys that wait in the database until somebody has looked at them, and who looks."""

from ml_api.indexing.changes.conditions import Source
from ml_api.indexing.changes.consumer import Consumer
from ml_api.indexing.changes.rows import Change
from ml_api.indexing.changes.waiting import Backlog, Changes

__all__ = ["Backlog", "Change", "Changes", "Consumer", "Source"]
