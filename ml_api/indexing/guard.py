"""Stops syncs that look like an accident (a lost mount, the wrong folder or bucket) before they change anything.

Each kind of accident has an option of its own, so that an option in a nightly job permits nothing else.
"""

from dataclasses import dataclass

from ml_api.errors import SyncRefused
from ml_api.indexing.plan import Plan
from ml_api.indexing.tasks import BATCH

FEW = 20
"""This many images may be removed from an index of any size."""

PARTS = 5
"""From a larger index, one in this many may be removed."""

HALF_MOVED = 2 * BATCH
"""As many images at most are stored twice, under the old name and under the new, when a process is killed while it writes moves: a
batch of a sync, or two of changes. That the old ones are removed then is no accident."""

FOLDERS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Consent:
    """The permitted accidents. `replace` includes the removal of the other corpus's images."""

    empty: bool = False
    removals: bool = False
    replace: bool = False


def check(plan: Plan, source: str, consent: Consent) -> None:
    """Raises SyncRefused with the words of `objection`, if there is one."""
    if words := objection(plan, source, consent):
        raise SyncRefused(words)


def objection(plan: Plan, source: str, consent: Consent) -> str:
    """Why the plan looks like an accident, and the option to continue; empty if it does not.

    `source` is the corpus that was indexed before, if any.
    """
    indexed = plan.indexed
    if indexed and plan.found_nothing and not consent.empty:
        seen = f" ({plan.coverage.summary()})" if plan.coverage.passed_over else ""
        return (
            f"{plan.location} holds no images{seen}, but {indexed:,} are indexed: {_doubt(plan.location)} Nothing was changed. "
            "To empty the index on purpose, add --allow-empty"
        )
    if source and source != plan.location and (plan.removed or plan.replaced) and not consent.replace:
        return (
            f"the index holds the images of {source}, not of {plan.location}: the plan was to {_told(plan)}. "
            "Nothing was changed. To index this corpus in place of the other, add --replace; to keep both, name another collection"
        )
    lost = plan.removed - plan.moved
    permitted = max(FEW, indexed / PARTS)
    if lost > permitted:
        permitted += min(plan.ledger.stored_twice(), HALF_MOVED)
    if lost > permitted and not (consent.removals or consent.replace or plan.found_nothing):
        return (
            f"{lost:,} of the {indexed:,} images indexed are no longer in {plan.location} ({_where(plan)}): "
            f"{_doubt(plan.location)} The plan was to {_told(plan)}. Nothing was changed. "
            "To remove them on purpose, add --allow-removals"
        )
    return ""


def _doubt(location: str) -> str:
    return "is it the right bucket and prefix?" if "://" in location else "is the folder mounted, and all of it?"


def _told(plan: Plan) -> str:
    steps = ((plan.new, "add"), (plan.replaced, "read again"), (plan.removed, "remove"), (plan.unchanged, "keep"))
    return ", ".join(f"{what} {number:,}" for number, what in steps if number)


def _where(plan: Plan) -> str:
    """The top-level folders with most removals."""
    folders = plan.ledger.removed_folders(FOLDERS_SHOWN + 1)
    shown = [f"{folder or 'outside any folder'} {number:,}" for folder, number in folders[:FOLDERS_SHOWN]]
    return ", ".join(shown) + (", …" if len(folders) > FOLDERS_SHOWN else "")
