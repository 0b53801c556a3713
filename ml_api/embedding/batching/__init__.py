"""Many callers, one model: what waits together goes through the model together, and nobody waits for company."""

from ml_api.embedding.batching.costs import MAX_BATCH, PassCost, warm_up
from ml_api.embedding.batching.encoder import BatchingEncoder, BulkEncoder

__all__ = ["MAX_BATCH", "BatchingEncoder", "BulkEncoder", "PassCost", "warm_up"]
