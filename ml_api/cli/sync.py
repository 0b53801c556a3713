"""The command `sync`: makes the index equal to a folder or bucket and reports the outcome of every file.

A service that runs with the same collection does the work and is followed; without one it is done here.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from ml_api import tracing
from ml_api.cli.exits import Exit, stopped
from ml_api.cli.following import LOOK_EVERY_S, Delegate, follow
from ml_api.cli.progress import show_progress
from ml_api.cli.results import tell
from ml_api.database import missing_file
from ml_api.errors import ModelUnavailable, SyncRefused, Unavailable
from ml_api.indexing.jobs import Job, Jobs, SyncOptions
from ml_api.indexing.jobs.execution import PLAN, PLAN_LINES, run_sync
from ml_api.indexing.jobs.heartbeat import Heartbeat, Owners
from ml_api.indexing.report import (
    FailureReport,
    FileOutcome,
    JsonLines,
    Report,
    Reports,
    SyncReport,
    log_failure,
    log_problems,
    log_report,
    summary_line,
)
from ml_api.indexing.tasks import AT_ONCE
from ml_api.services import corpus_of, database_of, open_indexer, preview_sync, target_of
from ml_api.settings import Settings
from ml_api.stopping import Stop
from ml_api.vocabulary import JobKind, JobState, ReasonCode, SyncOutcome


def sync(settings: Settings, options: SyncOptions, report_file: Path | None = None) -> Exit:
    with ExitStack() as opened:
        files = Reports(*([opened.enter_context(closing(JsonLines(report_file.expanduser())))] if report_file else []))
        return _sync(settings, options, files)


def show_plan(settings: Settings, options: SyncOptions, *, as_json: bool) -> Exit:
    """`--dry-run`."""
    with Stop() as stop, tracing.on_behalf_of([tracing.run_origin()]):
        if missing_file(settings.database_address) is None and (job := _planned_by_service(settings, options, stop)) is not None:
            return _print_plan(job, stop, as_json=as_json)
    found = preview_sync(settings, options)
    _print(found.as_json(), found.lines(), as_json=as_json)
    return Exit.DONE


def _planned_by_service(settings: Settings, options: SyncOptions, stop: Stop) -> Job | None:
    """A finished dry run of the service that has the store; None if no service runs."""
    with closing(database_of(settings)) as database:
        jobs = Jobs(database, target_of(settings), corpus_of(settings).location)
        delegate = Delegate(settings, jobs, Owners(database))
        if not delegate.is_running():
            return None
        job, is_ours = jobs.submit(options)
        over = follow(jobs, job, delegate, stop, is_ours=is_ours)
        if over is None:
            jobs.cancel(job.id)
        return over


def _print_plan(job: Job, stop: Stop, *, as_json: bool) -> Exit:
    if job.state is not JobState.SUCCEEDED:
        return _end_of(job, stop)
    _print(job.report[PLAN], job.report[PLAN_LINES], as_json=as_json)
    return Exit.DONE


def _print(plan: Mapping[str, Any], lines: Sequence[str], *, as_json: bool) -> None:
    tell(json.dumps(plan, ensure_ascii=False) if as_json else "\n".join(lines))


def _sync(settings: Settings, options: SyncOptions, files: Report) -> Exit:
    with Stop() as stop, tracing.on_behalf_of([tracing.run_origin()]), closing(database_of(settings)) as database:
        jobs = Jobs(database, target_of(settings), corpus_of(settings).location)
        delegate = Delegate(settings, jobs, Owners(database))
        delegate.is_running()  # first: it raises if the settings differ
        delegate.cancel_orphan()
        _let_plan_end(jobs, delegate)
        job, is_ours = jobs.submit(options)
        if job.state is JobState.RUNNING and delegate.is_dead(job):
            job, is_ours = jobs.submit(options)
        while True:
            if job.state is JobState.QUEUED and not delegate.is_running():
                with closing(Heartbeat(database, jobs.target, jobs.corpus)) as heartbeat:
                    if (claimed := jobs.claim(heartbeat.name)) is not None:
                        return _run_here(settings, jobs, claimed, stop, files)
            over = follow(jobs, job, delegate, stop, is_ours=is_ours)
            if over is not None:
                return _ended(jobs, over, stop, files)


def _let_plan_end(jobs: Jobs, delegate: Delegate) -> None:
    """Wait for a dry run that is under way, as the command follows only syncs."""
    while (active := jobs.active()) is not None and active.options.kind is JobKind.DRY_RUN:
        if active.state is JobState.QUEUED and not delegate.is_running():
            jobs.cancel(active.id)
        elif active.state is JobState.RUNNING and delegate.is_dead(active):
            continue
        time.sleep(LOOK_EVERY_S)


def _run_here(settings: Settings, jobs: Jobs, job: Job, stop: Stop, files: Report) -> Exit:
    with ExitStack() as shown:
        bars: list[Callable[[int], None]] = []

        def advance(report: SyncReport) -> None:
            stop.reach(report.done, report.total)
            if not bars:
                bars.append(shown.enter_context(show_progress("indexing", report.total)))
            bars[0](report.done)

        report = run_sync(
            jobs,
            job,
            lambda options: open_indexer(settings, options),
            lambda: stop.signal is not None,
            advance,
            files,
        )
    # For programs that read the log; at a terminal, the line below is enough.
    (log_problems if sys.stderr.isatty() else log_report)(report.as_json())
    tell(summary_line(report.as_json()))
    if report.stopped:
        return _stopped(stop, "it was cancelled")
    if report.model_failed:
        raise ModelUnavailable(report.model_failure)
    return Exit.DONE


def _ended(jobs: Jobs, job: Job, stop: Stop, files: Report) -> Exit:
    if job.active:
        return stopped(stop, f"sync {job.id} goes on without this command")
    if job.report:
        _pass_on(jobs, job.id, Reports(FailureReport(log_failure), files))
        log_problems(job.report)
        tell(summary_line(job.report))
    return _end_of(job, stop)


def _end_of(job: Job, stop: Stop) -> Exit:
    match job.state:
        case JobState.SUCCEEDED:
            return Exit.DONE
        case JobState.REFUSED:
            raise SyncRefused(job.error)
        case JobState.STOPPED:
            return _stopped(stop, job.error)
    raise Unavailable(job.error)


def _pass_on(jobs: Jobs, job: int, files: Report) -> None:
    """Pass on the outcomes of files from the database."""
    after = -1
    while rows := jobs.files(job, None, after, AT_ONCE):
        files.write(
            [FileOutcome(row.key, SyncOutcome(row.outcome), ReasonCode(row.code) if row.code else None, row.reason) for row in rows]
        )
        after = rows[-1].number


def _stopped(stop: Stop, why: str) -> Exit:
    if stop.signal is None:  # by somebody else
        raise Unavailable(f"{stop.message}: {why}")
    return stopped(stop)
