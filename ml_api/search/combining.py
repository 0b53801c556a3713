"""From the points of a query's terms to the one vector that is searched for."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from ml_api.errors import InvalidQuery

LEAST: Final = 1e-3
"""Length of a sum, beside the sum of its weights, below which nothing but rounding errors is left of its direction."""


def combined(vectors: Sequence[npt.NDArray[np.float32]], weights: Sequence[float]) -> npt.NDArray[np.float32]:
    """The weighted sum of `vectors` (n of shape (dim,), of length 1), scaled to length 1. A single one is taken as it is.

    Raises InvalidQuery if the terms cancel out.
    """
    if len(vectors) == 1 and weights[0] > 0:
        return vectors[0]
    total = np.asarray(weights, dtype=np.float64) @ np.stack(vectors).astype(np.float64)
    length = float(np.linalg.norm(total))
    if not length > LEAST * sum(map(abs, weights)):
        raise InvalidQuery("query: the terms cancel out, so that nothing is left to search for; change their weights")
    return (total / length).astype(np.float32)
