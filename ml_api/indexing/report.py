"""The report of a sync: each file has exactly one outcome, and all but unchanged files are named."""

import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ml_api.corpus.base import Coverage
from ml_api.vocabulary import ReasonCode, SyncOutcome

SYNC_LINE = {"event.dataset": "ml_api.sync"}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """The outcome of one file. `key` is printable: a name that is not UTF-8 has backslash escapes."""

    key: str
    outcome: SyncOutcome
    code: ReasonCode | None = None
    """None unless it failed."""
    reason: str = ""
    """For people; also where a file was moved from, or whose bytes it has."""


class Report(Protocol):
    def write(self, files: Sequence[FileOutcome]) -> None:
        """Called with each file once, except unchanged ones, in the thread of the sync."""
        ...


class Reports:
    """Several reports as one."""

    def __init__(self, *reports: Report) -> None:
        self._reports = reports

    def write(self, files: Sequence[FileOutcome]) -> None:
        for report in self._reports:
            report.write(files)


NO_REPORT = Reports()
"""Ignores the outcomes of files."""


class FailureReport:
    """A Report that calls a function for each file that failed."""

    def __init__(self, tell: Callable[[FileOutcome], None]) -> None:
        self._tell = tell

    def write(self, files: Sequence[FileOutcome]) -> None:
        for file in files:
            if file.outcome is SyncOutcome.FAILED:
                self._tell(file)


class JsonLines:
    """A Report in a file: a JSON object a line. Raises OSError. Close it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")

    def write(self, files: Sequence[FileOutcome]) -> None:
        self._file.writelines(json.dumps(as_json(file), ensure_ascii=False) + "\n" for file in files)
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def as_json(file: FileOutcome) -> dict[str, str]:
    """As JSON; the code is "" if there is none."""
    return asdict(file) | {"code": file.code or ""}


@dataclass(slots=True)
class SyncReport:
    """The report, filled while the sync runs. `problems` are those of the metadata, such as broken lines."""

    location: str
    coverage: Coverage
    total: int = 0
    outcomes: Counter[SyncOutcome] = field(default_factory=Counter)
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


def summary_line(report: Mapping[str, Any]) -> str:
    """The end of a sync in one line, from the value of `SyncReport.as_json`."""
    how = "stopped after" if report["stopped"] else "done in"
    return f"sync {how} {report['seconds']:.1f} s: {report['summary']}"


def log_problems(report: Mapping[str, Any]) -> None:
    """Log the problems in such a report."""
    for problem in report["not_listed"]:
        _log.warning("not listed: %s; what is indexed of it stays", problem, extra=SYNC_LINE)
    for problem in report["metadata"]:
        _log.warning("metadata: %s", problem, extra=SYNC_LINE)


def log_report(report: Mapping[str, Any]) -> None:
    """Log such a report."""
    log_problems(report)
    outcome = "unknown" if report["stopped"] else "failure" if report["model_failed"] else "success"
    seconds = report["seconds"]
    counts = {f"ml_api.sync.{name}": number for name, number in report["outcomes"].items()}
    whole = {**SYNC_LINE, **counts, "event.action": "sync", "event.outcome": outcome}
    whole |= {"ml_api.sync.seconds": seconds, "event.duration": int(seconds * 1e9)}
    _log.info("%s", summary_line(report), extra=whole)


def log_failure(file: FileOutcome) -> None:
    """Log a file that failed."""
    fields = {"event.action": "sync-failure", "event.outcome": "failure", "ml_api.key": file.key}
    _log.warning("not indexed: %s: %s", file.key, file.reason, extra=SYNC_LINE | fields)
