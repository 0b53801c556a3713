"""The command `sync`: makes the index equal to a folder or bucket and reports the outcome of every file.

A service that runs with the same collection does the work and is followed; without one it is done here.
"""

import json
import logging
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

from ml_api import tracing
from ml_api.cli.exits import Exit, stopped
from ml_api.errors import ConfigError, DatabaseUnavailable, ModelUnavailable, SyncRefused, Unavailable
from ml_api.indexing.jobs import Job, Jobs, SyncOptions
from ml_api.indexing.presence import Presence, Watch
from ml_api.indexing.report import EachFailure, FileOutcome, JsonLines, Report, Reports, SyncReport, tell, tell_failure
from ml_api.indexing.runner import carry_out
from ml_api.indexing.tasks import AT_ONCE
from ml_api.progress import show_progress
from ml_api.services import corpus_of, database_of, open_indexer, preview_sync, target_of
from ml_api.settings import Settings, environment_name
from ml_api.stopping import Stop
from ml_api.vocabulary import JobState, ReasonCode, SyncOutcome

LOOK_EVERY_S: Final = 0.2
AWAY_S: Final = 60.0
"""How long a database that is away is waited for."""

_log = logging.getLogger(__name__)


def sync(settings: Settings, options: SyncOptions, report_file: Path | None = None) -> Exit:
    with ExitStack() as opened:
        files = Reports(*([opened.enter_context(closing(JsonLines(report_file.expanduser())))] if report_file else []))
        return _sync(settings, options, files)


def show_plan(settings: Settings, options: SyncOptions, *, as_json: bool) -> Exit:
    """`--dry-run`."""
    found = preview_sync(settings, options)
    print(json.dumps(found.as_json(), ensure_ascii=False) if as_json else "\n".join(found.lines()))  # noqa: T201 - its output
    return Exit.DONE


def _sync(settings: Settings, options: SyncOptions, files: Report) -> Exit:
    with Stop() as stop, tracing.on_behalf_of([tracing.run_origin()]), closing(database_of(settings)) as database:
        jobs = Jobs(database, target_of(settings), corpus_of(settings).location)
        taker = _Taker(settings, jobs, Watch(database))
        job, is_ours = jobs.submit(options)
        if job.state is JobState.RUNNING and taker.is_dead(job):
            job, is_ours = jobs.submit(options)
        while True:
            if job.state is JobState.QUEUED and not taker.is_there():
                with closing(Presence(database, jobs.target, jobs.corpus)) as presence:
                    if (claimed := jobs.claim(presence.name)) is not None:
                        return _run_here(settings, jobs, claimed, stop, files)
            over = _follow(jobs, job, taker, stop, is_ours=is_ours)
            if over is not None:
                return _ended(jobs, over, stop, files)


def _run_here(settings: Settings, jobs: Jobs, job: Job, stop: Stop, files: Report) -> Exit:
    with ExitStack() as shown:
        bars: list[Callable[[int], None]] = []

        def advance(report: SyncReport) -> None:
            stop.gentle = True  # from now on there may be a batch to finish
            stop.reached = _reached(report.done, report.total)
            if not bars:
                bars.append(shown.enter_context(show_progress("indexing", report.total)))
            bars[0](report.done)

        report = carry_out(
            jobs,
            job,
            lambda options: open_indexer(settings, retry_failed=options.retry_failed),
            lambda: stop.signal is not None,
            advance,
            files,
        )
    tell(report.as_json())
    if report.stopped:
        return _stopped(stop, "it was cancelled")
    if report.model_failed:
        raise ModelUnavailable(report.model_failure)
    return Exit.DONE


class _Taker:
    """A service that does what this command asks for, if there is one."""

    def __init__(self, settings: Settings, jobs: Jobs, watch: Watch) -> None:
        self._settings = settings
        self._jobs = jobs
        self._watch = watch

    def is_there(self) -> bool:
        """Raises ConfigError if one is there that has the store and does something else."""
        takers = self._watch.takers(self._jobs.target)
        ours = [taker for taker in takers if taker.corpus == self._jobs.corpus]
        if ours:
            self._compare(ours[0].model)
            return True
        if takers and "://" not in self._settings.store_uri:
            raise ConfigError(
                f"{environment_name('corpus')}: the service that runs with {self._settings.store_uri} indexes {takers[0].corpus}, "
                f"not {self._jobs.corpus}; start it with that folder, or name another collection"
            )
        return False

    def is_dead(self, job: Job) -> bool:
        """Whether the process that runs `job` is; then the job is given up."""
        is_dead = self._watch.is_gone(job.owner) and self._jobs.give_up(job)
        if is_dead:
            _log.warning("sync %d: the process that ran it has ended", job.id)
        return is_dead

    def _compare(self, model: str) -> None:
        from ml_api.embedding.pretrained import resolve

        mine = resolve(self._settings.model).model_id
        if mine != model:
            raise ConfigError(f"{environment_name('model')}: the service that runs embeds with {model}, not with {mine}")


def _follow(jobs: Jobs, job: Job, taker: _Taker, stop: Stop, *, is_ours: bool) -> Job | None:
    """Show the progress of a sync that another process runs, until it is over; None if nobody is there to run it.

    A first signal cancels what this command began. What it found it leaves alone and returns as it is.
    """
    stop.gentle = True
    _log.info("sync %d %s", job.id, "is run by the service" if is_ours else "is under way already")
    seen_at = time.monotonic()
    with ExitStack() as shown:
        bar: Callable[[int], None] | None = None
        while True:
            try:
                job = jobs.get(job.id)
                stop.reached = _reached(job.done, job.total) if job.total else stop.reached
                if not job.active or (stop.signal is not None and not is_ours):
                    return job
                if stop.signal is not None and not job.stop_wanted:
                    jobs.cancel(job.id)
                if job.state is JobState.QUEUED and not taker.is_there():
                    stop.gentle = False
                    return None
                if job.state is JobState.RUNNING and taker.is_dead(job):
                    raise Unavailable("the process that ran this sync has ended; what was done is kept, run it again to go on")
            except DatabaseUnavailable:
                if time.monotonic() - seen_at > AWAY_S:
                    raise
            else:
                seen_at = time.monotonic()
            if job.total:
                bar = bar or shown.enter_context(show_progress("indexing", job.total))
                bar(job.done)
            time.sleep(LOOK_EVERY_S)


def _ended(jobs: Jobs, job: Job, stop: Stop, files: Report) -> Exit:
    if job.active:
        return stopped(stop, f"sync {job.id} goes on without this command")
    if job.report:
        _pass_on(jobs, job.id, Reports(EachFailure(tell_failure), files))
        tell(job.report)
    match job.state:
        case JobState.SUCCEEDED:
            return Exit.DONE
        case JobState.REFUSED:
            raise SyncRefused(job.error)
        case JobState.STOPPED:
            return _stopped(stop, job.error)
    raise Unavailable(job.error)


def _pass_on(jobs: Jobs, job: int, files: Report) -> None:
    """What the database has of single files."""
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


def _reached(done: int, total: int) -> str:
    return f"after {done:,} of {total:,}"
