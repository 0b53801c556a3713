"""What a sync would do, without doing it: numbers, examples, and what the guard would say."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from ml_api.corpus.base import Corpus, Coverage
from ml_api.indexing import guard
from ml_api.indexing.failures import Failures
from ml_api.indexing.guard import Consent
from ml_api.indexing.plan import make_plan
from ml_api.vectors.base import VectorStore
from ml_api.vocabulary import SyncOutcome

EXAMPLES = 5
"""Keys shown of each outcome."""


@dataclass(frozen=True, slots=True)
class Preview:
    """The outcomes are predicted from names, sizes and times: no file is read. Duplicates are counted as added."""

    location: str
    counts: Mapping[SyncOutcome, int]
    examples: Mapping[SyncOutcome, list[str]]
    to_read: int
    """Files that would be read; of them, those with unknown bytes would be embedded."""
    objection: str
    """Why the sync would be refused, and the option to continue; empty if it would not."""
    coverage: Coverage
    problems: tuple[str, ...]

    def lines(self) -> list[str]:
        """For people."""
        told = [f"{outcome:<10} {number:>9,}{self._shown(outcome)}" for outcome, number in self.counts.items() if number]
        told = told or [f"no images in {self.location}"]
        told += [f"not listed: {problem}; what is indexed of it stays" for problem in self.coverage.problems()]
        told += [f"metadata: {problem}" for problem in self.problems]
        if self.coverage.passed_over:
            told.append(f"passed over: {self.coverage.summary()}")
        told.append(f"{self.to_read:,} {'file' if self.to_read == 1 else 'files'} would be read; nothing was changed")
        return told + ([f"the sync would be refused: {self.objection}"] if self.objection else [])

    def as_json(self) -> dict[str, Any]:
        return {
            "corpus": self.location,
            "counts": {outcome.value: number for outcome, number in self.counts.items()},
            "examples": {outcome.value: keys for outcome, keys in self.examples.items() if keys},
            "to_read": self.to_read,
            "refused": self.objection or None,
            "passed_over": {why.value: number for why, number in self.coverage.passed_over.items()},
            "not_listed": list(self.coverage.problems()),
            "metadata_problems": list(self.problems),
        }

    def _shown(self, outcome: SyncOutcome) -> str:
        keys = self.examples.get(outcome, [])
        more = ", …" if self.counts[outcome] > len(keys) else ""
        return f"   {', '.join(keys)}{more}" if keys else ""


def preview(corpus: Corpus, store: VectorStore, failures: Failures, consent: Consent, *, rehash: bool = False) -> Preview:
    """Changes nothing, reads no image and needs no model. Raises Unavailable."""
    with closing(make_plan(corpus, store, failures, rehash=rehash)) as plan:
        counts = {
            SyncOutcome.ADDED: plan.new - plan.moved,
            SyncOutcome.REPLACED: plan.replaced,
            SyncOutcome.MOVED: plan.moved,
            SyncOutcome.REMOVED: plan.removed - plan.moved,
            SyncOutcome.UNCHANGED: plan.unchanged,
            SyncOutcome.UNLISTED: plan.unlisted,
            SyncOutcome.FAILED: plan.failed,
        }
        return Preview(
            location=plan.location,
            counts=counts,
            examples={outcome: plan.ledger.examples(outcome, EXAMPLES) for outcome, number in counts.items() if number},
            to_read=plan.to_read,
            objection=guard.objection(plan, store.source(), consent),
            coverage=plan.coverage,
            problems=plan.problems,
        )
