"""What the service answers, for its documentation: taken from the demo, and compared by tests with what is really answered."""

from ml_api.api.examples.answers import ANSWERS, DRAWN_ID, NOT_READY
from ml_api.api.examples.problems import PROBLEMS, problem

__all__ = ["ANSWERS", "DRAWN_ID", "NOT_READY", "PROBLEMS", "problem"]
