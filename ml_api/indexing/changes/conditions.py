"""Conditions on rows of the queue, in SQL: when a key is due, which depends on its time, other keys and running jobs."""

from enum import StrEnum
from typing import Final

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.orm import aliased

from ml_api.database.tables import OPERATION, ChangeRow, JobRow
from ml_api.vocabulary import JobKind, JobState

GONE_AFTER_S: Final = 1.0
"""The two notices of a moved file, that it is gone and that it is new, come within this time, in any order."""
FARTHEST_S: Final = 600.0
"""Nothing is due, or free, later than this from now. What seems to be was noted before the clock was set back."""
_NEVER: Final = float(2**53)
_WRITING_OPERATIONS: Final = (JobKind.MIGRATE, JobKind.ROLL_BACK, JobKind.IMPORT)
"""They write rows, as syncs do; an export or an evaluation only reads."""

_KIND_OF_OPERATION: Final = JobRow.options[OPERATION]["kind"].as_string()
_IS_SYNC: Final = _KIND_OF_OPERATION.is_(None) & func.coalesce(JobRow.options["dry_run"].as_boolean(), False).is_(False)


class Source(StrEnum):
    UPLOAD = "upload"
    EVENT = "event"
    WATCH = "watch"
    GONE = "gone"
    """A watched file is not there any more. It may have moved."""


def is_due(corpus: str, now: float) -> ColumnElement[bool]:
    """Whether a row may be inspected now."""
    return and_(
        ChangeRow.corpus == corpus,
        *(or_(time <= now, time > now + FARTHEST_S) for time in (ChangeRow.not_before, ChangeRow.claimed_until)),
        or_(ChangeRow.after_sync.is_(False), ~is_being_written(corpus)),
        ~is_left_to_a_sync(corpus),
        or_(ChangeRow.source != Source.GONE.value, ChangeRow.received_at < oldest_watched(corpus, now)),
    )


def is_inspected(now: float) -> ColumnElement[bool]:
    """Whether a row is being inspected, or will be again when the running job has ended."""
    return or_(ChangeRow.after_sync.is_(True), ChangeRow.claimed_until > now)


def is_superseded(corpus: str, now: float) -> ColumnElement[bool]:
    """Whether a row is being inspected, or will be soon: a file that has gone since the running sync began may have moved to
    a folder that the sync had listed before."""
    return or_(is_inspected(now), (ChangeRow.source == Source.GONE.value) & ~is_left_to_a_sync(corpus))


def oldest_watched(corpus: str, now: float) -> ColumnElement[float]:
    """The time of the oldest notice of a watched file that is due or being inspected. Files to be retried later do not count."""
    row = aliased(ChangeRow)
    is_open = row.after_sync.is_(False), or_(row.not_before <= now, row.attempts == 0)
    oldest = select(func.coalesce(func.min(row.received_at), _NEVER))
    return oldest.where(row.corpus == corpus, row.source == Source.WATCH.value, *is_open).scalar_subquery()


def is_left_to_a_sync(corpus: str) -> ColumnElement[bool]:
    """Whether a file is gone, and a sync is queued or began after it went, which may find the file at another place."""
    began_after = (JobRow.state == JobState.RUNNING) & (JobRow.started_at > ChangeRow.received_at - GONE_AFTER_S)
    sync = exists().where(JobRow.corpus == corpus, _IS_SYNC, or_(JobRow.state == JobState.QUEUED, began_after))
    return (ChangeRow.source == Source.GONE.value) & sync.correlate(ChangeRow)


def is_being_written(corpus: str) -> ColumnElement[bool]:
    """Whether a job is running that may write to the index what it has read before."""
    writes = or_(_IS_SYNC, _KIND_OF_OPERATION.in_(_WRITING_OPERATIONS))
    return exists().where(JobRow.corpus == corpus, JobRow.state == JobState.RUNNING, writes)
