"""Batches the inputs of many callers for one model, dynamically: inputs that wait at the same time share a forward pass, and an
idle model never waits for a batch to fill."""

from ml_api.embedding.batching.costs import MAX_BATCH, PassCost, warm_up
from ml_api.embedding.batching.encoder import BatchingEncoder, BulkEncoder

__all__ = ["MAX_BATCH", "BatchingEncoder", "BulkEncoder", "PassCost", "warm_up"]
