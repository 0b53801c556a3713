"""What a sync did: every file accounted for under exactly one outcome."""

from collections import Counter
from dataclasses import dataclass, field

from ml_api.corpus.base import Coverage
from ml_api.vocabulary import SyncOutcome


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

    def log_fields(self) -> dict[str, int | float]:
        """The report as fields of one log line."""
        counts: dict[str, int | float] = {f"ml_api.sync.{outcome}": self.outcomes[outcome] for outcome in SyncOutcome}
        return counts | {"ml_api.sync.seconds": round(self.seconds, 3), "event.duration": int(self.seconds * 1e9)}
