"""What a sync did: every file accounted for under exactly one outcome."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ml_api.corpus.base import Coverage
from ml_api.vocabulary import SyncOutcome

SYNC_LINE = {"event.dataset": "ml_api.sync"}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Failure:
    key: str
    reason: str


@dataclass(slots=True)
class SyncReport:
    """The report, filled while the sync runs. `problems` are those of the metadata, such as a broken line."""

    location: str
    coverage: Coverage
    total: int = 0
    outcomes: Counter[SyncOutcome] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    problems: tuple[str, ...] = ()
    embedded: int = 0
    without_vector: int = 0
    """The number of failed files for which the model returned no finite vector."""
    seconds: float = 0.0
    stopped: bool = False
    """Whether it was stopped before everything was done."""

    def count(self, outcome: SyncOutcome, number: int = 1) -> None:
        if number:
            self.outcomes[outcome] += number

    def fail(self, key: str, reason: str) -> None:
        self.failures.append(Failure(key, reason))
        self.count(SyncOutcome.FAILED)

    @property
    def done(self) -> int:
        return self.outcomes.total()

    @property
    def model_failed(self) -> bool:
        """Whether the model returned no finite vector for any file, which points to the model and not to the files."""
        return self.without_vector > 0 and self.embedded == 0

    def summary(self) -> str:
        parts = [f"{self.outcomes[outcome]} {outcome}" for outcome in SyncOutcome if self.outcomes[outcome]]
        found = ", ".join(parts) or ("nothing indexed" if self.total else f"no images in {self.location}")
        left_out = (("passed over", self.coverage.summary()), ("not listed", self.coverage.unlisted_summary()))
        return "; ".join([found, *(f"{what}: {which}" for what, which in left_out if which)])

    @property
    def model_failure(self) -> str:
        return f"the model returned no finite vector for any of the {self.without_vector:,} images it was given"

    def as_json(self) -> dict[str, Any]:
        """Everything but the files, as the database keeps it."""
        return {
            "summary": self.summary(),
            "outcomes": {outcome: self.outcomes[outcome] for outcome in SyncOutcome},
            "seconds": round(self.seconds, 3),
            "embedded": self.embedded,
            "stopped": self.stopped,
            "model_failed": self.model_failed,
            "not_listed": list(self.coverage.problems()),
            "metadata": list(self.problems),
        }


def tell(report: Mapping[str, Any], failures: Iterable[Failure]) -> None:
    """Log a report in the form of `SyncReport.as_json`."""
    for problem in report["not_listed"]:
        _log.warning("not listed: %s; what is indexed of it stays", problem, extra=SYNC_LINE)
    for problem in report["metadata"]:
        _log.warning("metadata: %s", problem, extra=SYNC_LINE)
    for failure in failures:
        fields = {"event.action": "sync-failure", "event.outcome": "failure", "ml_api.key": failure.key}
        _log.warning("not indexed: %s: %s", failure.key, failure.reason, extra=SYNC_LINE | fields)
    outcome = "unknown" if report["stopped"] else "failure" if report["model_failed"] else "success"
    seconds = report["seconds"]
    counts = {f"ml_api.sync.{name}": number for name, number in report["outcomes"].items()}
    whole = {**SYNC_LINE, **counts, "event.action": "sync", "event.outcome": outcome}
    whole |= {"ml_api.sync.seconds": seconds, "event.duration": int(seconds * 1e9)}
    how = "stopped after" if report["stopped"] else "done in"
    _log.info("sync %s %.1f s: %s", how, seconds, report["summary"], extra=whole)
