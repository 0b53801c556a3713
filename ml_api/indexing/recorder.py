"""Records what a running sync does: in its report, metrics, progress, the outcomes of files, and stored failures."""

import time
from collections import Counter
from collections.abc import Callable, Iterable

from ml_api.corpus.base import CorpusFile
from ml_api.indexing.failures import Failures
from ml_api.indexing.plan import Plan
from ml_api.indexing.reading import Unusable
from ml_api.indexing.report import FileOutcome, Report, SyncReport
from ml_api.indexing.tasks import AT_ONCE, Reason
from ml_api.metrics.sync import SyncMetrics
from ml_api.vocabulary import SyncOutcome

WRITE_EVERY_S = 1.0
"""Outcomes of files are written together, at the latest after this time: each write is a transaction."""

Progress = Callable[[SyncReport], None]


class SyncRecorder:
    """For one thread."""

    def __init__(self, plan: Plan, failures: Failures, measured: SyncMetrics, progress: Progress, files: Report) -> None:
        self.report = SyncReport(plan.location, plan.coverage, total=plan.total, problems=plan.problems)
        self.report.count(SyncOutcome.UNCHANGED, plan.unchanged)
        self._failures = failures
        self._measured = measured
        self._progress = progress
        self._files = files
        self._counted = Counter[SyncOutcome]()
        self._named: list[FileOutcome] = []
        self._failed: list[tuple[CorpusFile, Reason]] = []
        self._written_at = time.monotonic()

    def add(self, files: Iterable[FileOutcome]) -> None:
        for file in files:
            self.count(file)
        self.publish()

    def count(self, file: FileOutcome) -> None:
        """Without updating metrics and progress."""
        self.report.count(file.outcome)
        if file.outcome is not SyncOutcome.UNCHANGED:
            self._named.append(file)
        if len(self._named) >= AT_ONCE:
            self.write()

    def fail(self, file: Unusable) -> None:
        if file.lasting:
            self._failed.append((CorpusFile(file.task.key, file.task.file_version), file.reason))
        self._measured.failures.labels(file.reason.code).inc()
        self.count(FileOutcome(file.task.key, SyncOutcome.FAILED, file.reason.code, file.reason.text))

    def publish(self) -> None:
        """Update the metrics by what was done since the last call, and report progress."""
        new = self.report.outcomes - self._counted
        for outcome, number in new.items():
            self._measured.items.labels(outcome.value).inc(number)
        self._counted.update(new)
        self._measured.backlog.set(self.report.total - self.report.done)
        if time.monotonic() - self._written_at > WRITE_EVERY_S:
            self.write()
        self._progress(self.report)

    def write(self) -> None:
        """Write the outcomes of files that are not written yet."""
        self._written_at = time.monotonic()
        failed, self._failed = self._failed, []
        if failed:
            self._failures.note(failed)
        named, self._named = self._named, []
        if named:
            self._files.write(named)
