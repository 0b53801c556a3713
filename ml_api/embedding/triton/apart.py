"""What Triton put into one batch came from several callers, and one of them may have sent what the model cannot take."""

from collections.abc import Sequence

import numpy as np

from ml_api.embedding.base import Encoder, Prepared
from ml_api.embedding.splitting import Parts
from ml_api.errors import MlApiError
from ml_api.records import Vectors


def embed_apart(encoder: Encoder, batches: Sequence[Sequence[Prepared]]) -> list[Vectors | MlApiError]:
    """Several callers' inputs in one pass; if it fails, by halves, so that one bad input costs others time, not their answers."""
    outcomes: list[Vectors | MlApiError] = []
    parts = Parts(batches)
    for part in parts:
        try:
            vectors = encoder.embed([item for batch in part for item in batch])
        except MlApiError as exc:
            if not parts.split(part, exc):
                outcomes.append(exc)
        else:
            outcomes += np.split(vectors, np.cumsum([len(batch) for batch in part])[:-1])
    return outcomes
