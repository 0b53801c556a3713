"""Syncs. They run in processes of their own that come and go, so these metrics have a registry of their own, kept in a file."""

from typing import Final

from ml_api.metrics.catalogue import Catalogue

OUTCOMES: Final = ("added", "replaced", "moved", "removed", "unchanged", "duplicate", "failed")
STAGES: Final = ("plan", "read", "embed", "write", "remove")


class SyncMetrics:
    def __init__(self, catalogue: Catalogue) -> None:
        self.registry = catalogue.registry
        self.items = catalogue.counter("ml_api_sync_items", "Files that syncs accounted for.", {"outcome": OUTCOMES})
        self.stage_duration = catalogue.gauge(
            "ml_api_sync_stage_duration_seconds",
            "Time that the last sync spent in one stage, its threads added up; stages overlap.",
            {"stage": STAGES},
        )
        self.backlog = catalogue.gauge("ml_api_sync_backlog", "Files that the last sync found to do and has not done.")
        self.last_success = catalogue.gauge(
            "ml_api_sync_last_success_timestamp_seconds", "When a sync last ended without an error; 0 if none has."
        )
