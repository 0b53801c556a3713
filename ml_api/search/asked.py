"""What a query asks for, as relevance looks at it.

The score of several texts together is good where one of them is met very well and another not at all: "red" and "dogs" find red
houses. How well the weakest is met tells more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from ml_api.records import Vectors
from ml_api.search.logistic import Numbers


@dataclass(frozen=True, slots=True, eq=False)
class AskedTerm:
    """A term of a query."""

    vector: npt.NDArray[np.float32]
    """Shape (dim,), of length 1."""
    is_text: bool
    weight: float


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A query by its vectors."""

    vector: npt.NDArray[np.float32]
    """Shape (dim,): what is searched for."""
    image: npt.NDArray[np.float32] | None = None
    """The vector (dim,) of its image, if it has one."""
    wanted: Sequence[npt.NDArray[np.float32]] = ()
    """If it is of several texts and nothing else, the vectors (dim,) of those with a positive weight."""

    @classmethod
    def of(cls, vector: npt.NDArray[np.float32], terms: Sequence[AskedTerm]) -> Self:
        image = next((term.vector for term in terms if not term.is_text), None)
        wanted = [term.vector for term in terms if term.weight > 0] if len(terms) > 1 and image is None else []
        return cls(vector, image, wanted)

    def signals(self, hits: Sequence[npt.NDArray[np.float32]], background: Vectors) -> Numbers:
        """How well the best hits, whose vectors (dim,) are `hits`, meet the weakest of several texts: the hit that meets it best,
        and all in the mean, in standard deviations above what each text scores on the background (n, dim). Shape (2,); (0,) for
        other queries.
        """
        if not self.wanted or not hits:
            return np.zeros(2 if self.wanted else 0)
        texts = np.stack(self.wanted)
        level = texts @ background.T
        scores = (texts @ np.stack(hits).T - level.mean(axis=1, keepdims=True)) / (level.std(axis=1, keepdims=True) + 1e-9)
        weakest = scores.min(axis=0)
        return np.array([weakest.max(), weakest.mean()], dtype=np.float64)
