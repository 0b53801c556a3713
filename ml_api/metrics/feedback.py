"""Metrics of feedback: verdicts on hits, and searches that cannot be judged."""

from ml_api.metrics.catalogue import Catalogue
from ml_api.vocabulary import Verdict


class FeedbackMetrics:
    def __init__(self, catalogue: Catalogue) -> None:
        self.verdicts = catalogue.counter("ml_api_feedback", "Verdicts on hits that were taken.", {"verdict": tuple(Verdict)})
        self.unkept = catalogue.counter(
            "ml_api_searches_unkept",
            "Searches that cannot be judged, as the database did not take them.",
        )
