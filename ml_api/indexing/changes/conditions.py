"""What a key that waits is waiting for, beside its time: other keys, and jobs that run."""

from enum import StrEnum
from typing import Final

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.orm import aliased

from ml_api.database.tables import OPERATION, ChangeRow, JobRow
from ml_api.vocabulary import JobKind, JobState

GONE_AFTER_S: Final = 1.0
"""A file that moved is told gone and new within this time, one way round or the other."""
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
    """Whether it may be looked at now."""
    return and_(
        ChangeRow.corpus == corpus,
        *(or_(time <= now, time > now + FARTHEST_S) for time in (ChangeRow.not_before, ChangeRow.claimed_until)),
        or_(ChangeRow.after_sync.is_(False), ~is_written(corpus)),
        ~is_left_to_a_sync(corpus),
        or_(ChangeRow.source != Source.GONE.value, ChangeRow.received_at < oldest_watched(corpus, now)),
    )


def is_looked_at(now: float) -> ColumnElement[bool]:
    """Whether somebody looks at it now, or has looked and will look again after the job that runs."""
    return or_(ChangeRow.after_sync.is_(True), ChangeRow.claimed_until > now)


def is_followed(corpus: str, now: float) -> ColumnElement[bool]:
    """Whether somebody looks at it, or will soon: what has gone since the sync that runs began may have moved to where that did not
    look any more."""
    return or_(is_looked_at(now), (ChangeRow.source == Source.GONE.value) & ~is_left_to_a_sync(corpus))


def oldest_watched(corpus: str, now: float) -> ColumnElement[float]:
    """When the oldest notice of a watched file came that somebody has still to look at, now or because he has just claimed it.

    Those that could not be read, and are tried again later, hold up nothing.
    """
    row = aliased(ChangeRow)
    is_open = row.after_sync.is_(False), or_(row.not_before <= now, row.attempts == 0)
    oldest = select(func.coalesce(func.min(row.received_at), _NEVER))
    return oldest.where(row.corpus == corpus, row.source == Source.WATCH.value, *is_open).scalar_subquery()


def is_left_to_a_sync(corpus: str) -> ColumnElement[bool]:
    """What is gone, while a sync is wanted, or runs that began after it went: it may find the file at another place."""
    began_after = (JobRow.state == JobState.RUNNING) & (JobRow.started_at > ChangeRow.received_at - GONE_AFTER_S)
    sync = exists().where(JobRow.corpus == corpus, _IS_SYNC, or_(JobRow.state == JobState.QUEUED, began_after))
    return (ChangeRow.source == Source.GONE.value) & sync.correlate(ChangeRow)


def is_written(corpus: str) -> ColumnElement[bool]:
    """Whether a job runs that may write to the index what it read before."""
    writes = or_(_IS_SYNC, _KIND_OF_OPERATION.in_(_WRITING_OPERATIONS))
    return exists().where(JobRow.corpus == corpus, JobRow.state == JobState.RUNNING, writes)
