"""What people make of hits: the searches of late, which can be judged, and the judgements."""

from ml_api.feedback.judgements import Judgement, Judgements, Verdicts, judged_texts
from ml_api.feedback.searches import PastSearch, RecentSearches, Retention

__all__ = ["Judgement", "Judgements", "PastSearch", "RecentSearches", "Retention", "Verdicts", "judged_texts"]
