"""Fits logistic regressions, which calibrations use to turn signals of a search into a probability."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

RIDGE: Final = 1.0
"""The L2 penalty of the fit."""
STEPS: Final = 30
"""The most steps of Newton's method."""

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class LogisticRegression:
    """A regression over standardised signals. All have shape (signals,)."""

    mean: Numbers
    scale: Numbers
    weights: Numbers
    bias: float

    def __call__(self, signals: npt.NDArray[np.floating]) -> Numbers:
        """Probabilities (n,) of `signals` (n, signals)."""
        logits = (signals - self.mean) / self.scale @ self.weights + self.bias
        probabilities: Numbers = 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
        return probabilities


def fitted(signals: Numbers, labels: npt.NDArray[np.bool_], importance: Numbers) -> LogisticRegression:
    """Fit a logistic regression to `signals` (n, signals) and `labels` (n,), by Newton's method with an L2 penalty.

    `importance` (n,) weighs the rows; its mean must be about 1.
    """
    mean, scale = signals.mean(axis=0), signals.std(axis=0) + 1e-9
    rows = np.hstack([(signals - mean) / scale, np.ones((len(signals), 1))])
    ridge = np.diag([*[RIDGE] * signals.shape[1], 1e-6])
    solution = np.zeros(rows.shape[1])
    for _ in range(STEPS):
        predicted = 1 / (1 + np.exp(-np.clip(rows @ solution, -30, 30)))
        gradient = rows.T @ (importance * (predicted - labels)) + ridge @ solution
        curvature = (rows * (importance * predicted * (1 - predicted))[:, None]).T @ rows + ridge
        step = np.linalg.solve(curvature, gradient)
        solution -= step
        if np.abs(step).max() < 1e-6:
            break
    return LogisticRegression(mean, scale, solution[:-1], float(solution[-1]))
