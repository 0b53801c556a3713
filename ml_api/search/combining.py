"""The vector that is searched for: the weighted sum of the vectors of a query's terms."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from ml_api.errors import InvalidQuery

MIN_LENGTH: Final = 1e-3
"""A sum that is shorter than this share of its weights has no direction but that of rounding errors: its terms cancel out."""


@dataclass(frozen=True, slots=True, eq=False)
class Combined:
    vector: npt.NDArray[np.float32]
    """Shape (dim,), of length 1."""
    parts: npt.NDArray[np.float32]
    """Shape (terms, dim): what each term, and then each marked image, adds to `vector`, which is their sum."""


def combined(vectors: Sequence[npt.NDArray[np.float32]], weights: Sequence[float]) -> Combined:
    """The weighted sum of `vectors` (each (dim,), of length 1), scaled to length 1. A single one is taken as it is.

    Raises InvalidQuery if the terms cancel out.
    """
    if len(vectors) == 1 and weights[0] > 0:
        return Combined(vectors[0], vectors[0][None, :])
    if not any(weights):
        raise InvalidQuery("query: every weight is 0; give at least one term another")
    shares = np.asarray(weights, dtype=np.float64)
    shares = shares / np.abs(shares).max()  # the smallest numbers cannot be squared
    return scaled(shares[:, None] * np.stack(vectors), float(np.abs(shares).sum()))


def scaled(parts: npt.NDArray[np.floating], weight: float, what: str = "query: the terms") -> Combined:
    """The sum of `parts` (terms, dim), scaled to length 1. `weight` is how long it would be if all pointed one way.

    Raises InvalidQuery if the parts, which `what` names, cancel out.
    """
    total = parts.sum(axis=0)
    length = float(np.linalg.norm(total))
    if not length > MIN_LENGTH * weight:
        raise InvalidQuery(f"{what} cancel out, so that nothing is left to search for; leave some out, or change their weights")
    return Combined((total / length).astype(np.float32), (parts / length).astype(np.float32))
