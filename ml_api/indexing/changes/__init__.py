"""Changes between syncs: a queue of keys in the database (`queue`), and its consumer."""

from ml_api.indexing.changes.conditions import Source
from ml_api.indexing.changes.consumer import Consumer
from ml_api.indexing.changes.queue import Backlog, Changes
from ml_api.indexing.changes.rows import Change

__all__ = ["Backlog", "Change", "Changes", "Consumer", "Source"]
