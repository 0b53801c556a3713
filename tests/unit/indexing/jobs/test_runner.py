"""Who runs a job, in bad weather: two replicas, a model that hangs, a database that is away, a failure nobody thought of."""

import threading
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import text

from ml_api.corpus.folder import FolderCorpus
from ml_api.database.tables import JobRow
from ml_api.embedding.fake import FakeEncoder, FakePreprocessor
from ml_api.errors import StoreUnavailable, SyncRefused
from ml_api.images import ImageLimits, InlineDecoder
from ml_api.indexing.jobs import Jobs, Operation, SyncOptions
from ml_api.indexing.jobs.execution import CANCELLED, LINES, TOLD_TO_STOP, UNEXPECTED, run_operation, run_sync
from ml_api.indexing.jobs.heartbeat import Heartbeat, Owners
from ml_api.indexing.jobs.jobs import ENDED_EARLY
from ml_api.indexing.jobs.runner import UNKNOWN_END, SyncRunner
from ml_api.indexing.sync import Indexer
from ml_api.indexing.tasks import BATCH
from ml_api.metrics import Metrics
from ml_api.vectors.memory import MemoryStore
from ml_api.vocabulary import JobKind, JobState
from tests.databases import new_database
from tests.waiting import wait_until

PATIENCE_S = 30
DECODER = InlineDecoder(ImageLimits(100_000, 1_000_000, 20))


class GatedEncoder(FakeEncoder):
    def __init__(self):
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.passes = 0

    def embed(self, items):
        self.entered.set()
        assert self.gate.wait(PATIENCE_S)
        self.passes += 1
        return super().embed(items)


class World:
    """A folder of pictures, a store, and runners over one database."""

    def __init__(self, folder):
        self.root = folder / "corpus"
        self.root.mkdir()
        self.database = new_database(folder / "state.sqlite3")
        self.encoder, self.store = GatedEncoder(), MemoryStore()
        self.store.ensure(self.encoder.model.model_id, self.encoder.model.dim)
        self.metrics = Metrics()
        self.jobs = Jobs(self.database, "images", str(self.root), self.metrics.jobs)
        self.runners = []
        self.error = None

    def draw(self, number):
        for name in range(number):
            pixels = np.random.default_rng(name).integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(self.root / f"{name}.png")

    @contextmanager
    def open(self, _options):
        if self.error is not None:
            raise self.error
        yield Indexer(FolderCorpus(self.root), self.store, lambda: (FakePreprocessor(), self.encoder), DECODER, Metrics())

    def start(self, **options):
        heartbeat = Heartbeat(self.database, "images", str(self.root), model="fake@1")
        self.runners.append(SyncRunner(self.jobs, heartbeat, Owners(self.database), self.open, **options))
        return self.runners[-1]

    def over(self, job):
        wait_until(lambda: not self.jobs.get(job.id).active)
        return self.jobs.get(job.id)

    def lose(self, table="jobs"):
        with self.database.write() as session:
            session.execute(text(f"ALTER TABLE {table} RENAME TO lost"))

    def find(self, table="jobs"):
        with self.database.write() as session:
            session.execute(text(f"ALTER TABLE lost RENAME TO {table}"))

    def close(self):
        self.encoder.gate.set()
        for runner in self.runners:
            runner.close()
        self.database.close()


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    world.close()


def test_of_two_replicas_one_runs_a_sync_and_neither_runs_it_twice(world):
    world.draw(BATCH)
    one, other = world.start(), world.start()
    jobs = {one.submit(SyncOptions()).id, other.submit(SyncOptions()).id}
    assert len(jobs) == 1
    wait_until(lambda: world.jobs.active() is None)
    [over] = world.jobs.last()
    assert (over.state, over.report["outcomes"]["added"], world.encoder.passes) == (JobState.SUCCEEDED, BATCH, 1)


def test_how_jobs_end_and_how_long_they_take_is_measured(world):
    def measured(name, **labels):
        return world.metrics.registry.get_sample_value(f"ml_api_{name}", labels)

    assert measured("jobs_total", kind="sync", state="succeeded") == 0
    world.draw(BATCH)
    world.encoder.gate.clear()
    runner = world.start()
    job = runner.submit(SyncOptions())
    wait_until(lambda: measured("jobs_active", state="running") == 1)
    world.encoder.gate.set()
    world.over(job)
    for name in world.root.glob("*.png"):
        name.unlink()
    assert world.over(runner.submit(SyncOptions())).state is JobState.REFUSED
    world.error = StoreUnavailable("gone")
    world.over(runner.submit(SyncOptions()))
    wait_until(lambda: measured("jobs_total", kind="sync", state="failed") == 1)
    ends = {state: measured("jobs_total", kind="sync", state=state) for state in ("succeeded", "refused", "stopped", "failed")}
    assert ends == {"succeeded": 1, "refused": 1, "stopped": 0, "failed": 1}
    assert measured("job_duration_seconds_count", kind="sync") == 3
    assert measured("job_duration_seconds_count", kind="export") == 0
    last = [measured("job_last_end_timestamp_seconds", kind="sync", state=state) for state in ("succeeded", "refused", "failed")]
    assert 0 < last[0] <= last[1] <= last[2]
    assert (measured("jobs_active", state="queued"), measured("jobs_active", state="running")) == (0, 0)


def test_a_sync_that_another_process_wants_is_run(world):
    world.start()
    job, _ = Jobs(world.database, "images", str(world.root)).submit(SyncOptions())
    assert world.over(job).state is JobState.SUCCEEDED


def test_a_sync_of_another_corpus_is_left_alone(world):
    world.start()
    others = Jobs(world.database, "images", "/other")
    job, _ = others.submit(SyncOptions())
    world.runners[0].close()
    assert others.get(job.id).state is JobState.QUEUED


def test_a_sync_of_another_corpus_that_nobody_is_there_to_run_does_not_wait_for_ever(world):
    others = Jobs(world.database, "images", "/other")
    job, _ = others.submit(SyncOptions())
    runner = world.start(patience_s=0)
    wait_until(lambda: others.get(job.id).state is JobState.STOPPED)
    assert world.over(runner.submit(SyncOptions())).state is JobState.SUCCEEDED


def test_what_a_process_that_died_was_running_has_failed_and_the_next_completes_it(world):
    world.draw(3)
    job, _ = world.jobs.submit(SyncOptions())
    world.jobs.claim("a process that has no row")
    runner = world.start()
    over = world.over(job)
    assert (over.state, over.error) == (JobState.FAILED, ENDED_EARLY)
    assert world.over(runner.submit(SyncOptions())).report["outcomes"]["added"] == 3


def test_a_model_that_hangs_does_not_keep_the_service_from_stopping(world, caplog):
    world.draw(BATCH)
    world.encoder.gate.clear()
    runner = world.start()
    job = runner.submit(SyncOptions())
    assert world.encoder.entered.wait(PATIENCE_S)
    runner.close(timeout_s=0.01)
    over = world.jobs.get(job.id)
    assert (over.state, over.error) == (JobState.STOPPED, TOLD_TO_STOP)
    assert "did not stop within" in caplog.text


def test_a_database_that_is_away_does_not_stop_a_sync(world, caplog):
    world.draw(4 * BATCH)
    world.jobs.submit(SyncOptions())
    told = []

    def progress(report):
        told.append(report.done)
        if len(told) == 2:
            world.lose()
        if len(told) == 4:
            world.find()

    report = run_sync(world.jobs, world.jobs.claim("me"), world.open, progress=progress)
    assert report.outcomes["added"] == 4 * BATCH
    [over] = world.jobs.last()
    assert (over.state, over.done) == (JobState.SUCCEEDED, 4 * BATCH)
    assert not any(record.exc_info for record in caplog.records)


def test_while_the_database_is_away_a_runner_says_so_once_and_goes_on_when_it_is_back(world, caplog):
    runner = world.start()
    world.lose()
    wait_until(lambda: "no sync can begin" in caplog.text)
    for _ in range(3):
        runner._wake.set()
        wait_until(lambda: not runner._wake.is_set())
    world.find()
    assert world.over(runner.submit(SyncOptions())).state is JobState.SUCCEEDED
    assert [record.getMessage() for record in caplog.records].count(caplog.records[0].getMessage()) == 1
    assert not any(record.exc_info for record in caplog.records)


def test_an_end_that_could_not_be_kept_is_not_active_for_ever(world):
    runner = world.start()
    job, _ = world.jobs.submit(SyncOptions())
    wait_until(lambda: not world.jobs.get(job.id).active)
    with world.database.write() as session:
        session.execute(text("UPDATE jobs SET state = 'running'"))
    over = world.over(job)
    assert (over.state, over.error) == (JobState.FAILED, UNKNOWN_END)
    assert world.over(runner.submit(SyncOptions())).state is JobState.SUCCEEDED


def test_a_failure_nobody_thought_of_is_logged_and_the_runner_goes_on(world, caplog):
    runner = world.start()
    world.error = ZeroDivisionError("secret")
    over = world.over(runner.submit(SyncOptions()))
    assert (over.state, over.error) == (JobState.FAILED, UNEXPECTED)
    wait_until(lambda: "Traceback" in caplog.text, otherwise="it is not logged")  # which follows the end of the job
    world.error = None
    assert world.over(runner.submit(SyncOptions())).state is JobState.SUCCEEDED


class Failing(Jobs):
    """Looks for jobs in vain as often as it is told to."""

    in_vain = 0

    def active(self):
        if self.in_vain:
            self.in_vain -= 1
            raise ZeroDivisionError("nobody thought of it")
        return super().active()


def test_a_failure_nobody_thought_of_while_it_looks_for_jobs_is_logged_once_and_the_runner_goes_on(world, caplog):
    world.jobs = Failing(world.database, "images", str(world.root))
    world.jobs.in_vain = 3
    runner = world.start()
    for _ in range(3):
        runner._wake.set()
        wait_until(lambda: not runner._wake.is_set())
    assert world.over(runner.submit(SyncOptions())).state is JobState.SUCCEEDED
    [told] = [record for record in caplog.records if record.exc_info]
    assert "no sync can begin" in told.getMessage()


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"prune": True}, "it asks for prune"),
        (["sync"], "it asks for ['sync']"),
        ({"operation": {"kind": "export"}}, "it asks for operation"),
        ({"errand": "compact"}, "it asks for 'compact'"),
        ({"errand": {}}, "it is a None"),
        ({"errand": {"kind": []}}, "it is a []"),
        ({"errand": {"kind": "compact"}}, "it is a compact"),
        ({"errand": {"kind": "export", "format": "parquet"}}, "it asks for format"),
    ],
)
def test_a_job_of_another_version_fails_with_a_reason_and_keeps_no_sync_waiting(world, caplog, options, what):
    job, _ = world.jobs.submit(SyncOptions())
    with world.database.write() as session:
        session.get(JobRow, job.id).options = options
    with pytest.raises(SyncRefused, match="job 1 is under way; ask for the sync again when it is over"):
        world.jobs.submit(SyncOptions())
    runner = world.start()
    failed = world.over(job)
    assert (failed.state, failed.error) == (
        JobState.FAILED,
        f"{what}, which this version does not know; another version asked for it",
    )
    assert world.over(runner.submit(SyncOptions())).state is JobState.SUCCEEDED
    assert failed.error in caplog.text
    assert [over.id for over in world.jobs.last()] == [2, 1]
    measured = world.metrics.registry.get_sample_value
    ends = [{"kind": "sync", "state": state} for state in ("succeeded", "failed")]
    assert [measured("ml_api_jobs_total", end) for end in ends] == [1, 0]


def test_a_state_of_another_version_hides_no_other_job(world):
    for _ in range(2):
        world.jobs.submit(SyncOptions())
        world.jobs.finish(world.jobs.claim("me"), JobState.SUCCEEDED)
    with world.database.write() as session:
        session.get(JobRow, 1).state = "paused"
    assert [(job.id, job.state, job.error) for job in world.jobs.last()] == [
        (2, JobState.SUCCEEDED, ""),
        (1, JobState.FAILED, "it is paused, which this version does not know"),
    ]


def test_who_was_taken_for_dead_stops_and_overwrites_nothing(world):
    world.draw(4 * BATCH)
    world.jobs.submit(SyncOptions())
    mine = world.jobs.claim("me")
    report = run_sync(world.jobs, mine, world.open, progress=lambda _report: world.jobs.give_up(mine))
    assert report.stopped or report.done == report.total
    assert (world.jobs.get(mine.id).state, world.jobs.get(mine.id).error) == (JobState.FAILED, ENDED_EARLY)


def test_an_operation_is_followed_cancelled_and_its_failure_told(world):
    heartbeat = Heartbeat(world.database, "images", str(world.root), model="fake@1")
    entered = threading.Event()

    def operations(operation, follower):
        if operation.kind is JobKind.DROP_OLD:
            raise StoreUnavailable("the vector store cannot be reached")
        follower.progress(3, 7)
        entered.set()
        wait_until(lambda: follower.stop() or operation.switch)
        return ["so far"]

    world.runners.append(SyncRunner(world.jobs, heartbeat, Owners(world.database), world.open, operations))
    runner = world.runners[0]
    done = world.over(runner.submit(SyncOptions(operation=Operation(JobKind.MIGRATE))))
    assert (done.state, done.report, done.done, done.total) == (JobState.SUCCEEDED, {LINES: ["so far"]}, 3, 7)
    entered.clear()
    job = runner.submit(SyncOptions(operation=Operation(JobKind.MIGRATE, switch=False)))
    assert entered.wait(PATIENCE_S)
    world.jobs.cancel(job.id)
    assert (world.over(job).state, world.over(job).error) == (JobState.STOPPED, CANCELLED)
    failed = world.over(runner.submit(SyncOptions(operation=Operation(JobKind.DROP_OLD))))
    assert (failed.state, failed.error) == (JobState.FAILED, "the vector store cannot be reached")


def test_an_operation_that_was_done_before_it_was_told_to_stop_has_succeeded(world):
    closing = threading.Event()

    def operations(_operation, follower):
        assert not follower.stop()
        closing.set()
        return ["the new model is in use"]

    world.jobs.submit(SyncOptions(operation=Operation(JobKind.MIGRATE)))
    job = world.jobs.claim("this process")
    run_operation(world.jobs, job, operations, closing.is_set)
    assert world.jobs.get(job.id).state is JobState.SUCCEEDED
