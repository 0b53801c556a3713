"""A sync's report while it is filled: metrics, progress, stored failures. For one thread."""

from collections import Counter
from collections.abc import Callable, Iterable

from ml_api.indexing.failures import Failures
from ml_api.indexing.plan import Plan
from ml_api.indexing.reading import Unusable
from ml_api.indexing.report import SyncReport
from ml_api.metrics.sync import SyncMetrics
from ml_api.vocabulary import SyncOutcome

Progress = Callable[[SyncReport], None]


class Account:
    def __init__(self, plan: Plan, failures: Failures, measured: SyncMetrics, progress: Progress) -> None:
        self.report = SyncReport(plan.location, plan.coverage, total=plan.total, problems=plan.problems)
        self.report.count(SyncOutcome.UNCHANGED, plan.unchanged)
        self.report.count(SyncOutcome.UNLISTED, plan.unlisted)
        self._failures = failures
        self._measured = measured
        self._progress = progress
        self._counted = Counter[SyncOutcome]()

    def add(self, outcomes: Iterable[SyncOutcome]) -> None:
        self.report.outcomes.update(outcomes)
        self.tell()

    def fail(self, file: Unusable) -> None:
        self.report.fail(file.task.key, file.reason)
        if file.lasting:
            self._failures.note(file.task.key, file.task.file_version, file.reason)

    def tell(self) -> None:
        """Count what was done since the last call, and report progress."""
        new = self.report.outcomes - self._counted
        for outcome, number in new.items():
            self._measured.items.labels(outcome.value).inc(number)
        self._counted.update(new)
        self._measured.backlog.set(self.report.total - self.report.done)
        self._progress(self.report)
