"""Images that are stored more than once, found by pages of ids."""

from ml_api.duplicates.finder import DuplicateFinder
from ml_api.duplicates.groups import (
    NEAR_BITS,
    NEAR_SIMILARITY,
    SIMILARITY,
    UPLOADS_FOLDER,
    DuplicatesPage,
    DuplicateThresholds,
    Evidence,
    Group,
    Kind,
)

__all__ = [
    "NEAR_BITS",
    "NEAR_SIMILARITY",
    "SIMILARITY",
    "UPLOADS_FOLDER",
    "DuplicateFinder",
    "DuplicateThresholds",
    "DuplicatesPage",
    "Evidence",
    "Group",
    "Kind",
]
