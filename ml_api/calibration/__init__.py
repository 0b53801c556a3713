"""Fits what a search's scores mean, for one model and corpus, on the corpus itself: see `ml_api.search.relevance`."""

from ml_api.calibration.fitting import Calibrated, calibrate
from ml_api.calibration.keeping import Kept, latest, want
from ml_api.calibration.upkeep import Upkeep

__all__ = ["Calibrated", "Kept", "Upkeep", "calibrate", "latest", "want"]
