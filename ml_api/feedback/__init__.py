"""Keeps recent searches for feedback, and people's verdicts on their hits."""

from ml_api.feedback.judgements import Judgement, Judgements, Verdicts, judged_texts
from ml_api.feedback.searches import PastSearch, RecentSearches, Retention

__all__ = ["Judgement", "Judgements", "PastSearch", "RecentSearches", "Retention", "Verdicts", "judged_texts"]
