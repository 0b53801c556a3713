"""Examples of answers for the OpenAPI document, taken from the demo. Tests compare them with real answers."""

from ml_api.api.examples.answers import ANSWERS, DRAWN_ID, NOT_READY, REQUEST_ID
from ml_api.api.examples.problems import PROBLEMS, problem

__all__ = ["ANSWERS", "DRAWN_ID", "NOT_READY", "PROBLEMS", "REQUEST_ID", "problem"]
