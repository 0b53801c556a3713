"""The command `calibrate`: fits what the scores of this corpus mean. A service that runs with it is asked to do so."""

import logging
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any, Final

from ml_api.calibration import calibrate_all, judgements, latest, texts_of, want
from ml_api.cli.exits import Exit, stopped
from ml_api.errors import Unavailable
from ml_api.feedback import Verdicts
from ml_api.indexing.jobs.presence import Watch
from ml_api.services import database_of, target_of
from ml_api.services.calibration import open_calibration
from ml_api.settings import Settings
from ml_api.stopping import Stop

LOOK_EVERY_S: Final = 0.5
PATIENCE_S: Final = 600.0
NOT_TOLD: Final = (
    "; of those that have a match, with it and without: area {:.3f}, hardly better than a guess, so that `relevance` and "
    "`confident` are null"
)
ASKED_BY: Final = {"text": "a text", "image": "an image", "texts": "several texts", "mixed": "an image and texts"}

_log = logging.getLogger(__name__)


def calibrate(settings: Settings) -> Exit:
    with Stop() as stop, closing(database_of(settings)) as database:
        stop.reached = "before the scores were calibrated"
        target, watch = target_of(settings), Watch(database)
        if not watch.takers(target):
            with open_calibration(settings) as parts:
                began, verdicts = time.time(), texts_of(Verdicts(database, target))
                made = calibrate_all(parts.corpus, verdicts)
                row = parts.kept.keep_all(made, parts.corpus.store.count(), verdicts_until=began)
            return _tell(judgements(database, row))
        stop.gentle, asked_at = True, time.time()
        want(database, target)
        _log.info("the service calibrates")
        while time.time() < asked_at + PATIENCE_S:
            if stop.signal is not None:
                return stopped(stop, "the service goes on without this command")
            found = latest(database, target)
            if found is not None and found.made_at >= asked_at:
                return _tell(judgements(database, found))
            time.sleep(LOOK_EVERY_S)
        raise Unavailable("the service has not calibrated: its log says why; it waits while a sync runs")


def _tell(judged: Mapping[str, Mapping[str, Any]]) -> Exit:
    if not judged:
        _log.warning("not calibrated: too few images, or metadata and names yield too few texts to search for")
        return Exit.FAILED
    for kind, judgement in judged.items():
        _log.info(
            "is there a match for %s, cross-validated over %d searches: area under the ROC curve %.3f (by raw score %.3f), "
            "expected calibration error %.3f%s",
            ASKED_BY[kind],
            *(judgement[name] for name in ("queries", "auc", "raw_auc", "calibration_error")),
            "" if judgement["tells"] else NOT_TOLD.format(judgement["paired_auc"]),
        )
    for kind, asked_by in ASKED_BY.items():
        if kind not in judged:
            _log.info("searches by %s are not calibrated: metadata and names say too little of the images", asked_by)
    of_texts = judged.get("text", {})
    if texts := of_texts.get("judged_texts"):
        used = of_texts["used_texts"]
        left = "" if used else ": verdicts on them are too few, contradict what the corpus says, or add nothing to it"
        _log.info("judged texts that it was fitted to, too: %d of %d%s", used, texts, left)
    return Exit.DONE
