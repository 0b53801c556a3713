"""The words that metrics, log lines and dashboards share, each declared once. Imports nothing: the command line reads them."""

from enum import StrEnum
from typing import Final, Literal

Modality = Literal["text", "image"]
"""The kinds of inputs that a model embeds."""
MODALITIES: Final[tuple[Modality, ...]] = ("text", "image")


QueryKind = Literal["text", "image", "mixed"]
"""What scores mean depends on it: texts, which are judged one by one, one image, or several terms with an image among them."""
QUERY_KINDS: Final[tuple[QueryKind, ...]] = ("text", "image", "mixed")


MatchMode = Literal["auto", "vector", "text"]
"""What images are searched by: their vectors and the words of their names and metadata, or one of both alone."""


class TextLookup(StrEnum):
    """What came of looking up the words of a search."""

    FOUND = "found"
    NOTHING = "nothing"
    LATE = "late"
    FAILED = "failed"


class Operation(StrEnum):
    """The kinds of search, and embedding without one."""

    TEXT = "text"
    IMAGE = "image"
    SIMILAR = "similar"
    COMPOSED = "composed"
    """By any number of terms."""
    BATCH = "batch"
    """Several queries in one request."""
    EMBED = "embed"


class Stage(StrEnum):
    """The stages of a search, in their order."""

    FETCH = "fetch"
    DECODE = "decode"
    PREPARE = "prepare"
    QUEUE = "queue"
    EMBED = "embed"
    SEARCH = "search"
    SERIALIZE = "serialize"


class SyncStage(StrEnum):
    PLAN = "plan"
    READ = "read"
    EMBED = "embed"
    WRITE = "write"
    REMOVE = "remove"


class SyncOutcome(StrEnum):
    """What became of a file in a sync."""

    ADDED = "added"
    REPLACED = "replaced"
    MOVED = "moved"
    REMOVED = "removed"
    UNCHANGED = "unchanged"
    DUPLICATE = "duplicate"
    """A new file with the bytes of one that was indexed before: it took over its vector."""
    UNLISTED = "unlisted"
    """Indexed, and it stays: the folder where its file lies, or lay, could not be listed."""
    FAILED = "failed"


class ReasonCode(StrEnum):
    """Why a sync did not index a file. Where the API refuses an upload for the same reason, its error code."""

    IMAGE_EMPTY = "image-empty"
    IMAGE_FORMAT = "image-format"
    IMAGE_TOO_LARGE = "image-too-large"
    IMAGE_TOO_MANY_PIXELS = "image-too-many-pixels"
    IMAGE_TOO_ELONGATED = "image-too-elongated"
    IMAGE_TOO_COSTLY = "image-too-costly"
    IMAGE_TRUNCATED = "image-truncated"
    IMAGE_DAMAGED = "image-damaged"
    INVALID_IMAGE = "invalid-image"
    INVALID_KEY = "invalid-key"
    NOT_FOUND = "not-found"
    """Listed, and gone when it was to be read."""
    UNREADABLE = "corpus-unavailable"
    OVERLOADED = "overloaded"
    NO_ROOM = "insufficient-storage"
    """To hand the file to the process that decodes it."""
    NOT_FINITE = "model-not-finite"
    CHANGED_MEANWHILE = "changed-meanwhile"
    UNLISTED = "folder-unlisted"


METADATA_ENDINGS = (".jsonl", ".csv", ".parquet")
"""Endings of files with metadata, which tell their formats."""


class JobKind(StrEnum):
    """What a job does."""

    SYNC = "sync"
    DRY_RUN = "dry-run"
    MIGRATE = "migrate"
    ROLL_BACK = "rollback"
    DROP_OLD = "drop-old"
    EXPORT = "export"
    IMPORT = "import"
    EVALUATE = "evaluate"


class JobState(StrEnum):
    """The state of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    """It looked like an accident; nothing was changed."""
    STOPPED = "stopped"
    """It was cancelled, or its process stopped; what was done stays done."""
    FAILED = "failed"


class ChangeOutcome(StrEnum):
    """The outcome of the inspection of a changed key."""

    ADDED = "added"
    REPLACED = "replaced"
    REMOVED = "removed"
    MOVED = "moved"
    """New, with the bytes of an image whose file is gone, and with its vector."""
    UNCHANGED = "unchanged"
    """Index and corpus agreed already: a notice that came twice, or of a file that never was indexed and is gone."""
    FAILED = "failed"
    RETRIED = "retried"
    """It waits for another attempt."""


class UploadState(StrEnum):
    """What has become of an image that was uploaded."""

    SEARCHABLE = "searchable"
    QUEUED = "queued"
    """Safe in the corpus; it will be searchable."""
    SUPERSEDED = "superseded"
    """Another upload under its key, or a deletion, came after it."""
    FAILED = "failed"
    """It is in the corpus, and the model makes no vector of it."""


class Verdict(StrEnum):
    """What a person made of a hit."""

    RELEVANT = "relevant"
    IRRELEVANT = "irrelevant"
    CLICKED = "clicked"
    """Looked at, which says less than either, and takes the place of neither."""
    NONE = "none"
    """What was said before is taken back."""


GRADES: Final = {Verdict.RELEVANT: 2, Verdict.CLICKED: 1, Verdict.IRRELEVANT: 0}
"""How relevant a hit is that was judged so."""
