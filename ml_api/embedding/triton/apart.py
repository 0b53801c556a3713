"""What Triton put into one batch came from several callers, and one of them may have sent what the model cannot take."""

from collections.abc import Sequence

import numpy as np

from ml_api.embedding.base import Encoder, Prepared
from ml_api.errors import MlApiError
from ml_api.records import Vectors


def embed_apart(encoder: Encoder, batches: Sequence[Sequence[Prepared]]) -> list[Vectors | MlApiError]:
    """Several callers' inputs in one pass; if it fails, by halves, so that one bad input costs others time, not their answers."""
    try:
        vectors = encoder.embed([item for batch in batches for item in batch])
    except MlApiError as exc:
        if len(batches) == 1:
            return [exc]
    else:
        return [*np.split(vectors, np.cumsum([len(batch) for batch in batches])[:-1])]
    middle = len(batches) // 2
    return embed_apart(encoder, batches[:middle]) + embed_apart(encoder, batches[middle:])
