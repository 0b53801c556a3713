"""Maximal marginal relevance: hits that are relevant and unlike those before them come first.

Carbonell and Goldstein, The Use of MMR, Diversity-Based Reranking for Reordering Documents and Producing Summaries (SIGIR 1998).
"""

from typing import Final

import numpy as np
import numpy.typing as npt

POOL: Final = 100
"""The first hits of a ranking, which are put in a new order; those that follow keep theirs."""


def diversified(
    scores: npt.NDArray[np.float32],
    vectors: npt.NDArray[np.float32],
    diversity: float,
    least: npt.NDArray[np.float64] | float = 0.0,
) -> list[int]:
    """The indices of the hits in their new order: each next hit has the largest

        (1 - diversity) * relevance - diversity * (largest similarity to those before it).

    `scores` (n,) are cosines with the query, and `vectors` (n, dim) have length 1. Texts are less similar to images than images are
    to each other, so both sides are first scaled to 0..1 over these hits: `diversity` then means the same for texts and images.
    `least` (n,) is a lower bound of each hit's relevance, 0 to 1, for hits that were found by words.
    """
    if len(scores) < 2:
        return list(range(len(scores)))
    relevance = np.maximum(_scaled(scores.astype(np.float64)), least)
    alike = (vectors @ vectors.T).astype(np.float64)
    between = alike[~np.eye(len(alike), dtype=bool)]
    alike = (alike - between.min()) / max(1.0 - between.min(), 1e-9)
    nearest, left, order = np.zeros(len(scores)), np.ones(len(scores), dtype=bool), list[int]()
    for _ in range(len(scores)):
        gain = np.where(left, (1 - diversity) * relevance - diversity * nearest, -np.inf)
        chosen = int(gain.argmax())
        order.append(chosen)
        left[chosen] = False
        nearest = np.maximum(nearest, alike[chosen])
    return order


def _scaled(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    spread = float(np.ptp(numbers))
    return (numbers - numbers.min()) / spread if spread > 0 else np.zeros_like(numbers)
