"""What a sync did: every file accounted for under exactly one outcome."""

from collections import Counter
from dataclasses import dataclass, field

from ml_api.corpus.base import Coverage
from ml_api.records import SyncOutcome


@dataclass(frozen=True, slots=True)
class Failure:
    key: str
    reason: str


@dataclass(slots=True)
class SyncReport:
    """Filled while the sync runs. `problems` are those of the metadata, such as a broken line."""

    location: str
    coverage: Coverage
    total: int = 0
    outcomes: Counter[SyncOutcome] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    problems: tuple[str, ...] = ()
    embedded: int = 0
    without_vector: int = 0
    """Files of which the model made nothing: among those that failed."""
    seconds: float = 0.0
    stopped: bool = False
    """Before everything was done, because it was told to."""

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
        """Whether it made a vector of none of the files that it was given, so that it is hardly they that are to blame."""
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
