"""The command `calibrate`: fits what the scores of this corpus mean. A service that runs with it is asked to do so."""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, Final

from ml_api.calibration import calibrate_all, latest, measures_by_kind, texts_of, want
from ml_api.calibration.measuring import IN_WORDS
from ml_api.cli.exits import Exit, stopped
from ml_api.cli.service_settings import require_given_model
from ml_api.errors import Unavailable
from ml_api.feedback import Verdicts
from ml_api.indexing.jobs.heartbeat import Owners
from ml_api.services import database_of, target_of
from ml_api.services.calibration import open_calibration
from ml_api.settings import Settings
from ml_api.stopping import Stop

LOOK_EVERY_S: Final = 0.5
PATIENCE_S: Final = 600.0
ASKED_BY: Final = {"text": "a text", "image": "an image", "mixed": "an image and texts"}
TOO_FEW: Final = "too few images, or metadata and names yield too few texts to search for"
SAID_TOO_LITTLE: Final = "metadata and names say too little of the images"
LIKE_A_GUESS: Final = "the prediction is hardly better than a guess, so that `relevance` and `confident` are null"

_log = logging.getLogger(__name__)


def calibrate(settings: Settings) -> Exit:
    with Stop() as stop, closing(database_of(settings)) as database:
        stop.reached = "before the scores were calibrated"
        target, owners = target_of(settings), Owners(database)
        services = owners.services(target)
        if not services:
            with open_calibration(settings) as parts:
                began, verdicts = time.time(), texts_of(Verdicts(database, target))
                made = calibrate_all(parts.corpus, verdicts)
                row = parts.kept.keep_all(made, parts.corpus.store.count(), verdicts_until=began)
            return _show(measures_by_kind(database, row))
        require_given_model(settings, services[0].model)
        stop.gentle, asked_at = True, time.time()
        want(database, target)
        _log.info("the service calibrates")
        while time.time() < asked_at + PATIENCE_S:
            if stop.signal is not None:
                return stopped(stop, "the service goes on without this command")
            found = latest(database, target)
            if found is not None and found.made_at >= asked_at:
                return _show(measures_by_kind(database, found))
            time.sleep(LOOK_EVERY_S)
        raise Unavailable("the service has not calibrated: its log says why; it waits while a sync runs")


def _show(by_kind: Mapping[str, Mapping[str, Any]]) -> Exit:
    print("\n".join(_lines(by_kind) if by_kind else [f"not calibrated: {TOO_FEW}"]))  # noqa: T201 - the output of the command
    return Exit.DONE if by_kind else Exit.FAILED


def _lines(by_kind: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """What holds first, figures under it."""
    for kind, asked_by in ASKED_BY.items():
        measures = by_kind.get(kind)
        if measures is None:
            yield f"searches by {asked_by}: not calibrated: {SAID_TOO_LITTLE}"
            continue
        yield f"searches by {asked_by}: {'calibrated' if measures['tells'] else f'not calibrated: {LIKE_A_GUESS}'}"
        yield f"    is there a match, cross-validated {IN_WORDS.format_map(measures)}"
        if not measures["tells"]:
            yield f"    of those that have a match, with it and without: area {measures['paired_auc']:.3f}"
    of_texts = by_kind.get("text", {})
    if texts := of_texts.get("judged_texts"):
        used = of_texts["used_texts"]
        left = "" if used else ": verdicts on them are too few, contradict what the corpus says, or add nothing to it"
        yield f"judged texts that it was fitted to, too: {used} of {texts}{left}"
