"""Metrics of changes between syncs: how many wait, for how long, and their outcomes."""

from ml_api.metrics.catalogue import Catalogue
from ml_api.vocabulary import ChangeOutcome


class ChangeMetrics:
    def __init__(self, catalogue: Catalogue) -> None:
        self.waiting = catalogue.gauge("ml_api_changes_waiting", "Changed files that wait to be indexed.")
        self.oldest_seconds = catalogue.gauge(
            "ml_api_changes_oldest_seconds", "How long the oldest of the changes that wait has done so; 0 if none waits."
        )
        self.looked_at = catalogue.counter(
            "ml_api_changes", "Changed files that were looked at, by outcome.", {"outcome": tuple(ChangeOutcome)}
        )
