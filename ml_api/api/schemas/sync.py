"""The requests and answers of `/v1/sync`."""

from typing import Annotated, Final

from pydantic import BeforeValidator, Field

from ml_api.api.schemas.base import Answer, Request, whole
from ml_api.vocabulary import JobKind, JobState, SyncOutcome

MAX_SYNC_FILES: Final = 1000


class SyncRequest(Request):
    """What a sync may do that it would otherwise refuse as a likely accident, or pass over."""

    allow_empty: Annotated[bool, Field(description="Empty the index if the corpus is empty.")] = False
    allow_removals: Annotated[bool, Field(description="Remove more than a fifth of the index.")] = False
    replace: Annotated[bool, Field(description="Index this corpus in place of the one that was indexed before.")] = False
    retry_failed: Annotated[bool, Field(description="Read unchanged files again that failed before.")] = False
    rehash: Annotated[
        bool, Field(description="Read images again that have no perceptual hash of this version. Nothing is embedded for it.")
    ] = False
    dry_run: Annotated[bool, Field(description="Only make the plan: what a sync would do.")] = False


class SyncFilesParameters(Request):
    outcome: Annotated[SyncOutcome | None, Field(description="Only files with this outcome.", examples=["failed"])] = None
    limit: Annotated[
        int, Field(ge=1, le=MAX_SYNC_FILES, description="How many files to return.", examples=[100]), BeforeValidator(whole)
    ] = 100
    cursor: Annotated[
        int | None,
        Field(ge=0, le=2**31 - 1, description="`next` of the page before; none for the first."),
        BeforeValidator(whole),
    ] = None


class SyncLinks(Answer):
    self_: Annotated[str, Field(serialization_alias="self", description="This sync.")]
    files: Annotated[str, Field(description="What became of single files.")]


class SyncAnswer(Answer):
    """The report of a sync, as far as it came."""

    summary: Annotated[str, Field(description="In words.")]
    outcomes: Annotated[dict[str, int], Field(description="Number of files by outcome.")]
    seconds: Annotated[float, Field(description="Time that it took, after it was planned; 0 if it did not end.")]
    not_listed: Annotated[list[str], Field(description="What could not be listed, and why; what is indexed of it stays.")]
    metadata: Annotated[list[str], Field(description="Problems of the metadata.")]


class SyncPlan(Answer):
    """What a sync would do, told by names, sizes and times alone."""

    counts: Annotated[dict[str, int], Field(description="Number of files by outcome; duplicates count as added.")]
    examples: Annotated[dict[str, list[str]], Field(description="Some keys of each outcome.")]
    to_read: Annotated[int, Field(description="Files that would be read.")]
    refused: Annotated[str | None, Field(description="Why the sync would be refused, and the consent to continue.")]
    passed_over: Annotated[dict[str, int], Field(description="Number of files that are not indexed, by reason.")]


class SyncJob(Answer):
    id: int
    kind: Annotated[JobKind, Field(description="What it is: a sync, a plan, or an operation of a command.")]
    state: Annotated[JobState, Field(description="`queued` and `running` are active, all others final.")]
    corpus: Annotated[str, Field(description="The folder or bucket.")]
    options: Annotated[dict[str, bool], Field(description="What it was asked for with.")]
    requested_at: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    started_at: Annotated[str | None, Field(json_schema_extra={"format": "date-time"})]
    ended_at: Annotated[str | None, Field(json_schema_extra={"format": "date-time"})]
    cancelled: Annotated[bool, Field(description="Whether it was asked to stop.")]
    done: Annotated[int, Field(description="Files that are accounted for.")]
    total: Annotated[int, Field(description="Files and index entries that it is about; 0 until it is planned.")]
    error: Annotated[str, Field(description="Why it was refused, failed or was stopped; empty otherwise.")]
    report: SyncAnswer | None
    plan: Annotated[SyncPlan | None, Field(description="Of a dry run.")]
    links: SyncLinks


class SyncsAnswer(Answer):
    active: Annotated[SyncJob | None, Field(description="The one that is queued or running.")]
    last: Annotated[list[SyncJob], Field(description="Those that are over, the last one first.")]


class SyncFile(Answer):
    key: str
    outcome: SyncOutcome
    code: Annotated[str, Field(description="Stable slug of the reason; empty where nothing went wrong.")]
    reason: str


class SyncFilesAnswer(Answer):
    files: list[SyncFile]
    next: Annotated[int | None, Field(description="`cursor` of the next page; null on the last one.")]
