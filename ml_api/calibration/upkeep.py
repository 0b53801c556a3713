"""Keeps a service calibrated: uses what is kept, and calibrates anew when the corpus has changed much or somebody wants it."""

import logging
import secrets
from dataclasses import dataclass
from typing import Final

from ml_api.calibration.fitting import Calibrated, calibrate_all
from ml_api.calibration.keeping import WANTED, StoredCalibrations
from ml_api.database.tables import CalibrationRow
from ml_api.embedding.base import Encoder, Preprocessor
from ml_api.errors import MlApiError, NonFiniteVector
from ml_api.search.relevance import Relevance
from ml_api.vectors.base import Metric, VectorStore
from ml_api.vocabulary import QUERY_KINDS, QueryKind

LOOK_EVERY_S: Final = 10.0
FEWEST_IMAGES: Final = 100
"""Of a smaller corpus a person sees the whole; its scores are too few to say what is usual."""
CHANGED: Final = 0.2
"""Share of the images that came, went or changed since, above which it is made anew."""
SAMPLED: Final = 400
"""Images that tell what share has changed at an equal number: it is then known to 0.02."""
SAMPLE_EVERY: Final = 60
"""Looks from one sample to the next."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class CalibrationUpkeep:
    """For one thread, which calls `look` again and again."""

    kept: StoredCalibrations
    relevance: Relevance
    store: VectorStore
    metric: Metric
    preprocessor: Preprocessor
    encoder: Encoder
    _used: float = WANTED
    """When the calibration in use was made."""
    _counted: int = -1
    _broken_at: int = -1
    """With so many images calibrating failed, and would again."""
    _looks: int = 0
    _exchanged: bool = False
    """Whether the last sample showed another corpus than the one that the calibration in use was made on."""

    def look(self) -> None:
        try:
            self._look()
        except MlApiError as exc:  # the store or the database is away: health checks tell
            _log.debug("not calibrated: %s", exc.detail)

    def _look(self) -> None:
        row = self.kept.row()
        if row is not None and row.made_at not in {self._used, WANTED}:
            self.kept.use_in(self.relevance)
            self._used, self._exchanged = row.made_at, False
        self._sample()
        before, self._counted = self._counted, self.store.count()
        is_still = self._counted == before  # a sync is not to be calibrated in between
        if is_still and self._counted != self._broken_at and self._is_due(row):
            self._calibrate()

    def _is_due(self, row: CalibrationRow | None) -> bool:
        if row is None or row.made_at == WANTED or row.images < FEWEST_IMAGES <= self._counted:
            return True
        return self._exchanged or abs(row.images - self._counted) > CHANGED * row.images

    def _sample(self) -> None:
        """Images may be exchanged while their number stays. Ids are hashes: those that follow any id are drawn at random."""
        self._looks += 1
        if self._looks % SAMPLE_EVERY == 0:
            some = self.store.page(secrets.token_hex(16), SAMPLED)
            some += self.store.page("", SAMPLED - len(some)) if len(some) < SAMPLED else []
            self._exchanged = self.relevance.unknown(self.kept.kind, some) > CHANGED

    def _calibrate(self) -> None:
        try:
            enough = self._counted >= FEWEST_IMAGES
            made = calibrate_all(self.store, self.metric, self.preprocessor, self.encoder) if enough else {}
        except MlApiError as exc:  # the store or the model is away; the next look may find it
            if isinstance(exc, NonFiniteVector):
                self._broken_at = self._counted
            _log.info("scores are not calibrated: %s", exc.detail)
            return
        except Exception:
            self._broken_at = self._counted
            raise
        row = self.kept.keep_all(made, self._counted)
        for kind in QUERY_KINDS:
            self._use(kind, made.get(kind))
        self._used, self._exchanged = row.made_at, False

    def _use(self, kind: QueryKind, made: Calibrated | None) -> None:
        self.relevance.use(kind, made.calibration if made else None)
        if made is None:
            _log.info("scores are not calibrated (%s): %d images, metadata and names say too little", kind, self._counted)
        else:
            _log.info("scores calibrated on %d queries of the corpus (%s): %s", made.queries, kind, made.judgement)
