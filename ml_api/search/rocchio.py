"""Relevance feedback: the vector that is searched for moves towards images marked good, and away from images marked bad.

J. Rocchio, Relevance feedback in information retrieval, 1971; Manning et al., Introduction to Information Retrieval, 9.1.1. Alpha
is 1 here, as queries and images have length 1.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from ml_api.search.combining import Combined, scaled

BETA: Final = 0.25
"""Weight of the mean of the good images, beside 1 for the query: found by `python -m demo.marks`."""
GAMMA: Final = 0.5
"""Weight of the mean of the bad images."""

Numbers = npt.NDArray[np.float32]


def refined(
    asked: Combined, more: Sequence[Numbers], less: Sequence[Numbers], beta: float = BETA, gamma: float = GAMMA
) -> Combined:
    """`asked`, moved by the vectors (dim,) of marked images. Their parts come after those of the terms.

    Raises InvalidQuery if they cancel out.
    """
    marked = [(beta / len(more)) * vector for vector in more] + [(-gamma / len(less)) * vector for vector in less]
    if not marked:
        return asked
    return scaled(np.vstack([asked.parts, *marked]), 1.0 + beta + gamma, "query, more_like, less_like: terms and marked images")
