"""Keeps a service calibrated: uses what is kept, and calibrates anew when the corpus has changed much or somebody wants it."""

import logging
from dataclasses import dataclass
from typing import Final

from ml_api.calibration.fitting import calibrate
from ml_api.calibration.keeping import Kept, unpacked
from ml_api.embedding.base import Encoder, Preprocessor
from ml_api.errors import MlApiError
from ml_api.search.relevance import Relevance
from ml_api.vectors.base import Metric, VectorStore

LOOK_EVERY_S: Final = 10.0
FEWEST_IMAGES: Final = 100
"""Of a smaller corpus a person sees the whole; its scores are too few to say what is usual."""
CHANGED: Final = 0.2
"""Share of the images that came or went since, above which it is made anew."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Upkeep:
    """For one thread, which calls `look` again and again."""

    kept: Kept
    relevance: Relevance
    store: VectorStore
    metric: Metric
    preprocessor: Preprocessor
    encoder: Encoder
    _used: float = 0.0
    """When the calibration in use was made."""
    _counted: int = -1
    _failed_at: int = -1

    def look(self) -> None:
        try:
            self._look()
        except MlApiError as exc:  # the store or the database is away: health checks tell
            _log.debug("not calibrated: %s", exc.detail)

    def _look(self) -> None:
        row = self.kept.row()
        if row is not None and row.content and row.made_at != self._used:
            self.relevance.use(self.kept.modality, unpacked(row.content))
            self._used = row.made_at
        before, self._counted = self._counted, self.store.count()
        is_still = self._counted == before  # a sync is not to be calibrated in between
        if is_still and self._counted >= FEWEST_IMAGES and self._counted != self._failed_at and self._is_due():
            self._failed_at = self._counted  # unless it comes to its end
            self._calibrate()
            self._failed_at = -1

    def _is_due(self) -> bool:
        row = self.kept.row()
        return row is None or not row.made_at or abs(row.images - self._counted) > CHANGED * row.images

    def _calibrate(self) -> None:
        made = calibrate(self.store, self.metric, self.preprocessor, self.encoder)
        row = self.kept.keep(made, self._counted)
        if made is None:
            _log.info("scores are not calibrated: metadata and names say too little of the %d images", self._counted)
            return
        self.relevance.use(self.kept.modality, made.calibration)
        self._used = row.made_at
        _log.info("scores calibrated on %d texts of the corpus: %s", made.queries, made.judgement)
