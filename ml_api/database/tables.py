"""The tables of the service's own database, as `migrations` leave them (a test compares the two).

Times are seconds since the epoch, UTC, as everywhere in this application.
"""

from typing import Any, ClassVar, Final

from sqlalchemy import JSON, Double, ForeignKey, Index, MetaData, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Json = JSON().with_variant(JSONB(), "postgresql")


class Table(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar = {dict[str, Any]: Json, float: Double()}


class OwnerRow(Table):
    """A process that runs jobs. Deleted when it ends properly."""

    __tablename__ = "owners"

    name: Mapped[str] = mapped_column(primary_key=True)
    target: Mapped[str]
    """The collection that it writes, as in `JobRow`."""
    corpus: Mapped[str]
    model: Mapped[str]
    """Id of the model that its syncs embed with; empty if it runs no jobs of other processes."""
    beat: Mapped[int] = mapped_column(default=0)
    """Incremented every few seconds, so that other processes see that it lives without comparing clocks."""
    address: Mapped[str] = mapped_column(default="", server_default="")
    """URL at which it answers the API; empty if it does not."""
    reading: Mapped[str] = mapped_column(default="", server_default="")
    """JSON: a hash of each setting that decides which files its syncs index, and what of them; empty if it is older than this."""


OPERATION: Final = "errand"
"""The key of the operation in the options of a job. It never changes, as several versions may share a database."""


class JobRow(Table):
    """One job: queued, running or ended. Ids grow in the order of submission, whatever the clocks say."""

    __tablename__ = "jobs"

    id: Mapped[int] = mapped_column(primary_key=True)
    target: Mapped[str]
    """The collection that it writes; of one collection one job is active at a time."""
    corpus: Mapped[str]
    """Location of the corpus."""
    state: Mapped[str]
    """A `vocabulary.JobState`."""
    options: Mapped[dict[str, Any]]
    requested_at: Mapped[float]
    started_at: Mapped[float | None]
    ended_at: Mapped[float | None]
    owner: Mapped[str] = mapped_column(default="")
    """Name of the process that runs it; empty while it is queued."""
    stop_wanted: Mapped[bool] = mapped_column(default=False)
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    """0 until it is planned."""
    report: Mapped[dict[str, Any]] = mapped_column(default=dict)
    error: Mapped[str] = mapped_column(default="")

    __table_args__ = (
        Index(
            "ux_jobs_active",
            "target",
            unique=True,
            sqlite_where=text("state IN ('queued', 'running')"),
            postgresql_where=text("state IN ('queued', 'running')"),
        ),
    )


class JobFileRow(Table):
    """A file in the report of a job, unless it was unchanged."""

    __tablename__ = "job_files"

    job: Mapped[int] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str]
    outcome: Mapped[str]
    code: Mapped[str] = mapped_column(default="")
    """Stable slug of the reason; empty where nothing went wrong."""
    reason: Mapped[str] = mapped_column(default="")


class FailureRow(Table):
    """A file that could not be indexed: not read again until it, the limits or the decoders change."""

    __tablename__ = "failures"

    corpus: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[str]
    made_with: Mapped[str]
    code: Mapped[str]
    reason: Mapped[str]


class ChangeRow(Table):
    """A key that has changed according to a notice: the corpus is to be read, and the index made equal."""

    __tablename__ = "changes"

    corpus: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    notice: Mapped[str]
    """New with every notice of this key: an inspection for an older one does not delete the row."""
    source: Mapped[str]
    """`upload`, `event`, `watch` or `gone`: where the last notice came from."""
    received_at: Mapped[float]
    """The time of the oldest notice that no inspection has followed; of a watched file that is gone, the end of the wait for new
    files with its bytes."""
    not_before: Mapped[float]
    """When it is due: 0 for uploads, which come first; later for retries."""
    claimed_until: Mapped[float] = mapped_column(default=0.0, server_default="0")
    """The end of the lease of its claim, which later notices keep: of two inspections at once, the older could write last."""
    attempts: Mapped[int] = mapped_column(default=0)
    error: Mapped[str] = mapped_column(default="")
    """The error of the last attempt."""
    after_sync: Mapped[bool] = mapped_column(default=False)
    """Inspected while a job was running that may write what it has read before: to be inspected again at its end."""
    facts: Mapped[dict[str, Any] | None]
    """Metadata that came with an upload."""

    __table_args__ = (Index("ix_changes_due", "corpus", "not_before"),)


class ApiKeyRow(Table):
    """A key, of which only the hash is kept."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    digest: Mapped[str] = mapped_column(unique=True)
    """sha256, in hex."""
    scopes: Mapped[str]
    """Between commas."""
    created_at: Mapped[float]
    expires_at: Mapped[float | None]
    revoked_at: Mapped[float | None]
    last_used_at: Mapped[float | None]


class SessionRow(Table):
    """The session of a person who has signed in on the page."""

    __tablename__ = "sessions"

    digest: Mapped[str] = mapped_column(primary_key=True)
    """sha256 of the token, in hex."""
    key: Mapped[str] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"))
    created_at: Mapped[float]
    expires_at: Mapped[float]


class CalibrationRow(Table):
    """What scores mean: fitted for the searches of one modality, over the vectors of one model in one collection."""

    __tablename__ = "calibrations"

    target: Mapped[str] = mapped_column(primary_key=True)
    """The collection, as in `JobRow`."""
    model: Mapped[str] = mapped_column(primary_key=True)
    modality: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int]
    """The version of the signals that are weighed."""
    made_at: Mapped[float]
    images: Mapped[int]
    """How many there were."""
    measures: Mapped[dict[str, Any]] = mapped_column("judgement")
    """Its quality, cross-validated; empty if the corpus has too few texts to fit."""
    content: Mapped[bytes]


class SearchRow(Table):
    """A search that was answered lately, or judged: its query, as far as it may be kept, and its hits."""

    __tablename__ = "searches"

    query_id: Mapped[str] = mapped_column(primary_key=True)
    target: Mapped[str]
    """The collection, as in `JobRow`."""
    answered_at: Mapped[float]
    model: Mapped[str]
    """Name of the model whose vectors were searched."""
    query: Mapped[str]
    """JSON, escaped: PostgreSQL's own type has no NUL."""
    first_rank: Mapped[int]
    """The rank of the first of these hits in the whole ranking: 1 on a first page."""
    hits: Mapped[bytes]
    """Their ids in their order, 16 bytes each."""

    __table_args__ = (Index("ix_searches_answered_at", "target", "answered_at"),)


class JudgementRow(Table):
    """What a person made of a hit."""

    __tablename__ = "judgements"

    query_id: Mapped[str] = mapped_column(ForeignKey("searches.query_id", ondelete="CASCADE"), primary_key=True)
    image: Mapped[str] = mapped_column(primary_key=True)
    """Its id."""
    verdict: Mapped[str]
    """A `vocabulary.Verdict`."""
    comment: Mapped[str] = mapped_column(default="")
    judged_at: Mapped[float]

    __table_args__ = (Index("ix_judgements_judged_at", "judged_at"),)


class TextRow(Table):
    """The words that are said of an image. The index of them, `texts_words`, follows by triggers of SQLite, and by itself on
    PostgreSQL."""

    __tablename__ = "texts"

    number: Mapped[int] = mapped_column(primary_key=True)
    target: Mapped[str]
    """The collection, as in `JobRow`."""
    image: Mapped[str]
    """Its id."""
    mark: Mapped[str]
    """Tells the version of the image, and the rules, by which the words were found."""
    announced: Mapped[str] = mapped_column(default="")
    """The token of an announced change of the image; empty if there is none. If it is never settled, the words are read again from
    the vector store."""
    words: Mapped[str] = mapped_column(default="")
    """Between spaces."""

    __table_args__ = (
        UniqueConstraint("target", "image"),
        Index("ix_texts_announced", "target", sqlite_where=text("announced <> ''"), postgresql_where=text("announced <> ''")),
    )
