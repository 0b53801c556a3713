"""Keeps a service calibrated: uses the stored calibrations, and makes new ones when the corpus has changed much, or on request."""

import logging
import secrets
import time
from dataclasses import dataclass
from typing import Final

from ml_api.calibration.fitting import FEWEST_IMAGES, Calibrated, calibrate_all
from ml_api.calibration.indexed import IndexedCorpus
from ml_api.calibration.storage import WANTED, StoredCalibrations
from ml_api.calibration.verdicts import texts_of
from ml_api.database.tables import CalibrationRow
from ml_api.errors import MlApiError, NonFiniteVector
from ml_api.feedback import Verdicts
from ml_api.search.relevance import Calibrations
from ml_api.vocabulary import QUERY_KINDS, QueryKind

LOOK_EVERY_S: Final = 10.0
CHANGED: Final = 0.2
"""If a larger share of the images came, went or changed since a calibration, it is made anew."""
SAMPLED: Final = 400
"""Images that are sampled to see what share was exchanged while their number stayed: it is then known to 0.02."""
NEW_VERDICTS: Final = 50
"""After so many new verdicts, or CHANGED of those that it was made on if these are more, it is made anew."""
SAMPLE_EVERY: Final = 60
"""Looks from one sample to the next."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class CalibrationUpkeep:
    """Keeps the calibrations in use up to date. For one thread, which calls `look` again and again."""

    kept: StoredCalibrations
    calibrations: Calibrations
    corpus: IndexedCorpus
    verdicts: Verdicts | None = None
    """The verdicts of people on searches of this collection."""
    _used: float = WANTED
    """When the calibration in use was made."""
    _counted: int = -1
    _broken_at: int = -1
    """The number of images with which calibrating failed, and would fail again."""
    _looks: int = 0
    _outdated: bool = False
    """Whether the last sample showed another corpus than the one that the calibration in use was made on, or many new verdicts."""

    def look(self) -> None:
        try:
            self._look()
        except MlApiError as exc:  # the store or the database is away: health checks tell
            _log.debug("not calibrated: %s", exc.detail)

    def _look(self) -> None:
        row = self.kept.row()
        if row is not None and row.made_at not in {self._used, WANTED}:
            self.kept.use_in(self.calibrations)
            self._used, self._outdated = row.made_at, False
        self._sample(row)
        before, self._counted = self._counted, self.corpus.store.count()
        is_still = self._counted == before  # a sync is not to be calibrated in between
        if is_still and self._counted != self._broken_at and self._is_due(row):
            self._calibrate()

    def _is_due(self, row: CalibrationRow | None) -> bool:
        if row is None or row.made_at == WANTED or row.images < FEWEST_IMAGES <= self._counted:
            return True
        return self._outdated or abs(row.images - self._counted) > CHANGED * row.images

    def _sample(self, row: CalibrationRow | None) -> None:
        """Images may be exchanged while their number stays. Ids are hashes: those that follow any id are drawn at random."""
        self._looks += 1
        if self._looks % SAMPLE_EVERY == 0:
            some = self.corpus.store.page(secrets.token_hex(16), SAMPLED)
            some += self.corpus.store.page("", SAMPLED - len(some)) if len(some) < SAMPLED else []
            is_exchanged = any(self.calibrations.unknown(kind, some) > CHANGED for kind in QUERY_KINDS)
            self._outdated = is_exchanged or (row is not None and self._has_new_verdicts(row))

    def _has_new_verdicts(self, row: CalibrationRow) -> bool:
        """Whether enough verdicts are new: fewer are enough where few were known."""
        if self.verdicts is None or self._counted < FEWEST_IMAGES:
            return False
        many = max(NEW_VERDICTS, int(CHANGED * row.measures.get("verdicts", 0)))
        return self.verdicts.number_since(row.measures.get("verdicts_until", row.made_at), many) >= many

    def _calibrate(self) -> None:
        began = time.time()
        try:
            made = calibrate_all(self.corpus, texts_of(self.verdicts) if self.verdicts else {})
        except MlApiError as exc:  # the store or the model is away; the next look may find it
            if isinstance(exc, NonFiniteVector):
                self._broken_at = self._counted
            _log.info("scores are not calibrated: %s", exc.detail)
            return
        except Exception:
            self._broken_at = self._counted
            raise
        row = self.kept.keep_all(made, self._counted, verdicts_until=began)
        for kind in QUERY_KINDS:
            self._use(kind, made.get(kind))
        self._used, self._outdated = row.made_at, False

    def _use(self, kind: QueryKind, made: Calibrated | None) -> None:
        tells = made is not None and made.measures.tells
        self.calibrations.use(kind, made.calibration if made and tells else None)
        if made is None:
            _log.info("scores are not calibrated (%s): %d images, metadata and names say too little", kind, self._counted)
        elif not tells:
            _log.info("scores are not calibrated (%s), as they tell hardly more than a guess, %s", kind, made.measures)
        else:
            judged = f", and on verdicts on {made.used_texts} of {made.judged_texts} judged texts" if made.judged_texts else ""
            _log.info("scores calibrated on %d queries of the corpus%s (%s), %s", made.queries, judged, kind, made.measures)
