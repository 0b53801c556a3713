"""How good the answers are: what an index finds of the exact answer, and what searches find of what people judged."""

from ml_api.evaluation.recall import Measured, overlap, recall_of, sample

__all__ = ["Measured", "overlap", "recall_of", "sample"]
