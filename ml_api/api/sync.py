"""Routes of syncs, `/v1/sync`: they start one, show its progress and report, and cancel it. Syncs run in the background."""

from dataclasses import asdict
from typing import Final

from flask import Blueprint, Response, request, url_for

from ml_api.access import Scope
from ml_api.api import services
from ml_api.api.answers import json_answer, timestamp
from ml_api.api.operation import NO_DATABASE, NO_NOTE, operation, ref
from ml_api.api.parsing import json_body, query_parameters
from ml_api.api.schemas import JsonObject
from ml_api.api.schemas.sync import (
    SyncAnswer,
    SyncFile,
    SyncFilesAnswer,
    SyncFilesParameters,
    SyncJob,
    SyncLinks,
    SyncPlan,
    SyncRequest,
    SyncsAnswer,
)
from ml_api.indexing.jobs import Job, SyncOptions
from ml_api.indexing.jobs.execution import PLAN

BODY_BYTES: Final = 4096

blueprint = Blueprint("sync", __name__, url_prefix="/v1/sync")

JOB: JsonObject = {
    "name": "job",
    "in": "path",
    "required": True,
    "description": "Number of a sync, as `POST /v1/sync` answers it.",
    "schema": {"type": "integer", "minimum": 0},
    "example": 1,
}
NO_JOB = ("invalid-query", "not-found", *NO_DATABASE)


@blueprint.post("")
@operation(
    "start_sync",
    "Make the index equal to the corpus",
    tag="sync",
    scope=Scope.WRITE,
    description="Starts in the background, and is answered at once. Safe to repeat: while a sync is queued or running, that one is "
    "answered, whatever consents the body gives (a sync beside a dry run, or the other way round, is answered 409). "
    "A sync that looks like an accident changes nothing and ends in the state `refused`.",
    answer=SyncJob,
    status=202,
    body={"application/json": {"schema": ref(SyncRequest), "example": {"allow_removals": False}}},
    body_required=False,
    fails=("invalid-query", "invalid-json", "too-large", "unsupported-media-type", "sync-refused", *NO_NOTE),
)
def start() -> Response:
    options = json_body(SyncRequest, max_bytes=BODY_BYTES) if request.content_length or request.mimetype else SyncRequest()
    return _answered(services().syncs.submit(SyncOptions(**options.model_dump())), 202)


@blueprint.get("")
@operation(
    "list_syncs",
    "Show the sync under way, and the last ones",
    tag="sync",
    scope=Scope.WRITE,
    answer=SyncsAnswer,
    fails=("invalid-query", *NO_DATABASE),
)
def overview() -> Response:
    jobs = services().syncs.jobs
    active = jobs.active()
    return json_answer(SyncsAnswer(active=_shown(active) if active else None, last=[_shown(job) for job in jobs.last()]))


@blueprint.get("/<int:job>")
@operation(
    "get_sync",
    "Show one sync: its progress, its report",
    tag="sync",
    scope=Scope.WRITE,
    answer=SyncJob,
    parameters=(JOB,),
    fails=NO_JOB,
)
def progress(job: int) -> Response:
    return json_answer(_shown(services().syncs.jobs.get(job)))


@blueprint.get("/<int:job>/files")
@operation(
    "list_sync_files",
    "List what became of single files in a sync",
    tag="sync",
    scope=Scope.WRITE,
    answer=SyncFilesAnswer,
    query=SyncFilesParameters,
    parameters=(JOB,),
    fails=NO_JOB,
)
def files(job: int) -> Response:
    wanted = query_parameters(SyncFilesParameters)
    after = -1 if wanted.cursor is None else wanted.cursor
    found = services().syncs.jobs.files(job, wanted.outcome, after, wanted.limit + 1)
    page = found[: wanted.limit]
    answer = SyncFilesAnswer(
        files=[SyncFile(key=file.key, outcome=file.outcome, code=file.code, reason=file.reason) for file in page],
        next=page[-1].number if len(found) > len(page) else None,
    )
    return json_answer(answer)


@blueprint.delete("/<int:job>")
@operation(
    "cancel_sync",
    "Cancel a sync",
    tag="sync",
    scope=Scope.WRITE,
    description="It stops after its batch; what it has done stays done. One that is over stays as it is.",
    answer=SyncJob,
    status=202,
    parameters=(JOB,),
    fails=(*NO_JOB, "database-full"),
)
def cancel(job: int) -> Response:
    return _answered(services().syncs.jobs.cancel(job), 202)


def _answered(job: Job, status: int) -> Response:
    shown = _shown(job)
    response = json_answer(shown, status)
    response.headers["Location"] = shown.links.self_
    return response


def _shown(job: Job) -> SyncJob:
    report, plan = job.report if job.options.operation is None else {}, job.report.get(PLAN)
    options = asdict(job.options)
    del options["operation"]
    return SyncJob(
        id=job.id,
        kind=job.options.kind,
        state=job.state,
        corpus=job.corpus,
        options=options,
        requested_at=_time(job.requested_at),
        started_at=_time(job.started_at),
        ended_at=_time(job.ended_at),
        cancelled=job.stop_wanted,
        done=job.done,
        total=job.total,
        error=job.error,
        report=SyncAnswer(**{name: report[name] for name in SyncAnswer.model_fields}) if report and not plan else None,
        plan=SyncPlan(**{name: plan[name] for name in SyncPlan.model_fields}) if plan else None,
        links=SyncLinks(self_=url_for("sync.progress", job=job.id), files=url_for("sync.files", job=job.id)),
    )


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else timestamp(seconds)
