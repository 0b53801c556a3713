"""Fits what a search's scores mean, for one model and corpus, on the corpus itself: see `ml_api.search.relevance`."""

from ml_api.calibration.fitting import Calibrated, calibrate, calibrate_all
from ml_api.calibration.indexed import IndexedCorpus
from ml_api.calibration.storage import StoredCalibrations, latest, measures_by_kind, want
from ml_api.calibration.upkeep import CalibrationUpkeep
from ml_api.calibration.verdicts import texts_of

__all__ = [
    "Calibrated",
    "CalibrationUpkeep",
    "IndexedCorpus",
    "StoredCalibrations",
    "calibrate",
    "calibrate_all",
    "latest",
    "measures_by_kind",
    "texts_of",
    "want",
]
