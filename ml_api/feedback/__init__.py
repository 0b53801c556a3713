"""What people make of hits: the searches of late, which can be judged, and the judgements."""

from ml_api.feedback.judgements import Judgement, Judgements, judged_texts
from ml_api.feedback.searches import Kept, PastSearch, RecentSearches

__all__ = ["Judgement", "Judgements", "Kept", "PastSearch", "RecentSearches", "judged_texts"]
