"""Many callers, one model: what waits together goes through the model together, and nobody waits for company."""

from ml_api.embedding.batching.encoder import BatchingEncoder
from ml_api.embedding.batching.sizing import MAX_BATCH, PassCost
from ml_api.embedding.batching.warmup import warm_up

__all__ = ["MAX_BATCH", "BatchingEncoder", "PassCost", "warm_up"]
