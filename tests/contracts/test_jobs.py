"""Syncs as rows: one at a time of a collection, whoever asks, on SQLite and on PostgreSQL."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import update

from ml_api.database.tables import ChangeRow, JobFileRow, JobRow
from ml_api.errors import NotFound, SyncRefused
from ml_api.indexing.changes import Changes, Source
from ml_api.indexing.jobs import Jobs, Operation, SyncOptions
from ml_api.indexing.jobs.execution import storable
from ml_api.indexing.jobs.heartbeat import Heartbeat, Owners
from ml_api.indexing.jobs.jobs import ENDED_EARLY, KEPT
from ml_api.vocabulary import JobKind, JobState


@pytest.fixture
def jobs(database):
    return Jobs(database, "images", "/photos")


def run(jobs, state=JobState.SUCCEEDED, **values):
    jobs.submit(SyncOptions())
    job = jobs.claim("me")
    jobs.finish(job, state, **values)
    return jobs.get(job.id)


def test_a_sync_is_queued_then_run_then_over(jobs):
    queued, is_new = jobs.submit(SyncOptions(replace=True))
    assert (queued.state, queued.options, is_new) == (JobState.QUEUED, SyncOptions(replace=True), True)
    running = jobs.claim("me")
    assert (running.id, running.state, running.owner) == (queued.id, JobState.RUNNING, "me")
    assert jobs.tell(running, 3, 10)
    assert (jobs.active().done, jobs.active().total) == (3, 10)
    assert jobs.finish(running, JobState.SUCCEEDED, report={"summary": "10 added"}, done=10, total=10)
    assert jobs.active() is None
    [over] = jobs.last()
    assert (over.state, over.report, over.done) == (JobState.SUCCEEDED, {"summary": "10 added"}, 10)


def test_whoever_asks_while_one_is_active_gets_that_one(jobs):
    first, _ = jobs.submit(SyncOptions())
    assert jobs.submit(SyncOptions(retry_failed=True)) == (first, False)
    running = jobs.claim("me")
    again, is_new = jobs.submit(SyncOptions())
    assert (again.id, is_new) == (running.id, False)


def test_an_operation_is_nobody_elses_and_nothing_else_runs_beside_it(jobs):
    operation = Operation(JobKind.MIGRATE, model="clip-ViT-L-14", switch=False)
    job, is_new = jobs.submit(SyncOptions(operation=operation))
    assert (job.options.operation, job.options.kind, is_new) == (operation, JobKind.MIGRATE, True)
    with pytest.raises(SyncRefused, match="migrate 1 is under way; ask for the sync again when it is over"):
        jobs.submit(SyncOptions())
    with pytest.raises(SyncRefused, match="ask for the migrate again"):
        jobs.submit(SyncOptions(operation=operation))
    assert jobs.claim("me").options.operation == operation


def test_an_operation_is_called_the_same_in_the_database_by_every_version(database, jobs):
    """Commands of one version ask services of another, which counted what they did not know as syncs."""
    job, _ = jobs.submit(SyncOptions(operation=Operation(JobKind.EXPORT, file="a.parquet")))
    with database.read() as session:
        options = session.get_one(JobRow, job.id).options
    assert options["errand"]["kind"] == "export"
    assert "operation" not in options


@pytest.mark.parametrize(
    ("options", "goes", "is_kept"),
    [
        (None, True, False),
        (SyncOptions(), False, True),
        (SyncOptions(dry_run=True), True, False),
        (SyncOptions(operation=Operation(JobKind.EXPORT)), True, False),
        (SyncOptions(operation=Operation(JobKind.MIGRATE)), True, True),
    ],
    ids=["no job", "sync", "dry-run", "export", "migrate"],
)
def test_changes_know_what_the_job_that_runs_means_for_them(database, jobs, options, goes, is_kept):
    """A sync may find what is gone at another place; whatever writes may write what it read before they were looked at."""
    changes = Changes(database, "/photos")
    changes.note(["a.png"], Source.UPLOAD, gone=["gone.png"])
    if options is not None:
        jobs.submit(options)
        jobs.claim("me")
    with database.write() as session:
        session.execute(update(ChangeRow).values(not_before=0.0))

    def superseded():
        with changes.superseded(["a.png", "b.png"]) as keys:
            return keys

    assert superseded() == set()

    claimed = changes.claim(10)

    assert {change.key for change in claimed} == ({"a.png", "gone.png"} if goes else {"a.png"})
    assert superseded() == {"a.png"}
    changes.settle(claimed)
    assert superseded() == ({"a.png"} if is_kept else set())


def test_many_who_ask_at_once_get_the_same_and_one_runs_it(database):
    barrier = threading.Barrier(8)

    def ask(number):
        jobs = Jobs(database, "images", "/photos")
        barrier.wait()
        job, is_new = jobs.submit(SyncOptions())
        return job.id, is_new, jobs.claim(str(number)) is not None

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8)))
    assert len({job for job, _, _ in answers}) == 1
    assert sum(is_new for _, is_new, _ in answers) == 1
    assert sum(claimed for _, _, claimed in answers) == 1


def test_other_collections_have_syncs_of_their_own(database, jobs):
    jobs.submit(SyncOptions())
    others = Jobs(database, "other", "/photos")
    job, is_new = others.submit(SyncOptions())
    assert is_new
    with pytest.raises(NotFound):
        jobs.get(job.id)


def test_another_corpus_into_the_same_collection_waits_for_its_turn(database, jobs):
    first, _ = jobs.submit(SyncOptions())
    others = Jobs(database, "images", "/other")
    with pytest.raises(SyncRefused, match=f"sync {first.id} of /photos into this collection is under way"):
        others.submit(SyncOptions())
    assert others.claim("me") is None
    jobs.finish(jobs.claim("me"), JobState.SUCCEEDED)
    assert others.submit(SyncOptions())[1]


def test_what_waits_is_cancelled_at_once(jobs):
    job, _ = jobs.submit(SyncOptions())
    assert jobs.cancel(job.id).state is JobState.STOPPED
    assert jobs.claim("me") is None


def test_what_runs_is_told_to_stop(jobs):
    jobs.submit(SyncOptions())
    job = jobs.claim("me")
    assert jobs.cancel(job.id).state is JobState.RUNNING
    assert not jobs.tell(job, 1, 2)


def test_what_is_over_stays_as_it_is(jobs):
    over = run(jobs)
    assert jobs.cancel(over.id) == over
    with pytest.raises(NotFound, match="there is no sync 4711"):
        jobs.cancel(4711)
    with pytest.raises(NotFound):
        jobs.get(2**70)


def test_a_job_that_was_given_up_is_no_longer_its_former_owners(jobs):
    jobs.submit(SyncOptions())
    mine = jobs.claim("me")
    assert jobs.give_up(mine)
    assert not jobs.tell(mine, 5, 10)
    assert not jobs.finish(mine, JobState.SUCCEEDED)
    assert not jobs.give_up(mine)
    assert (jobs.get(mine.id).state, jobs.get(mine.id).error) == (JobState.FAILED, ENDED_EARLY)


def test_files_are_read_in_pages_by_outcome(jobs):
    jobs.submit(SyncOptions())
    job = jobs.claim("me")
    outcomes = ["failed", "added", "failed", "failed"]
    jobs.add_files([JobFileRow(job=job.id, number=n, key=f"{n}.png", outcome=outcome) for n, outcome in enumerate(outcomes)])
    assert [file.number for file in jobs.files(job.id, "failed", -1, 2)] == [0, 2]
    assert [file.number for file in jobs.files(job.id, "failed", 2, 2)] == [3]
    assert [file.number for file in jobs.files(job.id, None, -1, 10)] == [0, 1, 2, 3]
    with pytest.raises(NotFound):
        jobs.files(4711, None, -1, 10)


def test_files_of_any_name_are_kept(jobs):
    """PostgreSQL knows no NUL, and no database the half characters of names that are not UTF-8."""
    jobs.submit(SyncOptions())
    job = jobs.claim("me")
    for number, name in enumerate(("nul\0.jpg", "half\ud800.jpg", "k" * 4096, "line\nbreak.jpg")):
        row = JobFileRow(job=job.id, number=number, key=storable(name), outcome="failed", code="", reason=storable(name))
        jobs.add_files([row])
    keys = [row.key for row in jobs.files(job.id, None, -1, 10)]
    assert keys == ["nul␀.jpg", "half?.jpg", "k" * 4096, "line\nbreak.jpg"]


def test_the_last_ones_are_kept_with_their_files(database, jobs):
    first = run(jobs)
    jobs.add_files([JobFileRow(job=first.id, number=0, key="a.png", outcome="failed")])
    ids = [run(jobs).id for _ in range(KEPT)]
    assert [job.id for job in jobs.last()] == ids[::-1]
    with pytest.raises(NotFound):
        jobs.get(first.id)
    with database.read() as session:
        assert session.query(JobFileRow).count() == 0


def test_processes_are_seen_while_they_are_there(database):
    owners = Owners(database)
    serving, syncing = Heartbeat(database, "images", "/photos", model="clip@1"), Heartbeat(database, "images", "/photos")
    assert [service.name for service in owners.services("images")] == [serving.name]
    assert not owners.is_gone(syncing.name)
    serving.close()
    syncing.close()
    assert owners.services("images") == []
    assert owners.is_gone(syncing.name)
