"""A sync that another process runs, as the command sees it."""

import json
import signal

import pytest

from ml_api.cli import following
from ml_api.cli.following import Delegate, follow
from ml_api.database.tables import OwnerRow
from ml_api.errors import ConfigError, DatabaseUnavailable, Unavailable
from ml_api.indexing.jobs import Jobs, SyncOptions
from ml_api.indexing.jobs.heartbeat import Owners
from ml_api.services import reading_of
from ml_api.settings import Given, load_settings
from ml_api.stopping import Stop
from ml_api.vocabulary import JobState
from tests.databases import new_database

SERVICE = "another-machine/17/1234"


class World:
    def __init__(self, folder):
        self.folder = folder
        self.database = new_database(folder / "state.sqlite3")
        self.jobs = Jobs(self.database, "images", "/photos")
        settings = load_settings({"ML_API_CORPUS": str(folder), "ML_API_DATA_DIR": str(folder / "data")})
        self.delegate = Delegate(settings, self.jobs, Owners(self.database))
        self.stop = Stop()

    def serve(self, corpus="/photos", model="", reading=""):
        with self.database.write() as session:
            session.add(OwnerRow(name=SERVICE, target="images", corpus=corpus, model=model, reading=reading, beat=1))

    def end(self):
        with self.database.write() as session:
            session.query(OwnerRow).delete()

    def follow(self, job, *, is_ours=True):
        return follow(self.jobs, job, self.delegate, self.stop, is_ours=is_ours)


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    world.database.close()


@pytest.fixture
def running(world):
    world.serve()
    world.jobs.submit(SyncOptions())
    return world.jobs.claim(SERVICE)


def test_one_that_is_over_is_returned_with_its_report(world, running):
    world.jobs.finish(running, JobState.SUCCEEDED, report={"summary": "done"})
    assert world.follow(running).report == {"summary": "done"}


def test_who_began_it_cancels_it_by_a_signal(world, running):
    world.stop.signal = signal.SIGINT
    told = []

    class Watching(Owners):
        def is_gone(self, name):  # asked in every round: the service has heard of it and stops
            told.append(world.jobs.active().stop_wanted)
            world.jobs.finish(running, JobState.STOPPED, "cancelled")
            return False

    world.delegate._owners = Watching(world.database)
    assert world.follow(running).state is JobState.STOPPED
    assert told == [True]


def test_who_found_it_leaves_it_alone(world, running):
    world.stop.signal = signal.SIGINT
    assert world.follow(running, is_ours=False).active
    assert not world.jobs.active().stop_wanted


def test_a_process_that_ends_meanwhile_is_said(world, running):
    world.end()
    with pytest.raises(Unavailable, match="the process that ran this sync has ended"):
        world.follow(running)
    assert world.jobs.active() is None


def test_one_that_nobody_is_left_to_run_is_given_back(world):
    job, _ = world.jobs.submit(SyncOptions())
    assert world.follow(job) is None
    assert not world.stop.gentle


def test_a_service_over_another_folder_is_named(world):
    world.serve(corpus="/other", model="clip@1")
    with pytest.raises(ConfigError, match="indexes /other, not /photos"):
        world.delegate.is_running()


def test_an_empty_setting_is_compared_with_that_of_the_service(world):
    """A service with a catalogue would have added its metadata."""
    configured = {"corpus": Given("DIR", str(world.folder)), "model": Given("--model", "clip")}
    settings = load_settings({}, options=configured | {"catalogue": Given("--catalogue", "")})
    theirs = load_settings({}, options=configured | {"catalogue": Given("--catalogue", "/shop.csv")})
    world.serve(model="clip@1", reading=json.dumps(reading_of(theirs)))
    with pytest.raises(ConfigError, match="ML_API_CATALOGUE: the service that runs would do this sync"):
        Delegate(settings, world.jobs, Owners(world.database)).is_running()


def test_what_waits_for_a_process_that_is_not_there_is_cancelled(world):
    others = Jobs(world.database, "images", "/other")
    job, _ = others.submit(SyncOptions())
    world.delegate.cancel_orphan()
    assert others.get(job.id).state is JobState.STOPPED


def test_what_waits_for_one_that_is_there_stays(world):
    world.serve(corpus="/other", model="clip@1")
    others = Jobs(world.database, "images", "/other")
    job, _ = others.submit(SyncOptions())
    world.delegate.cancel_orphan()
    assert others.get(job.id).state is JobState.QUEUED


def test_a_database_that_is_away_is_waited_for(world, running):
    asked = []

    class Away(Jobs):
        def get(self, job):
            asked.append(job)
            if len(asked) < 3:
                raise DatabaseUnavailable("away")
            return super().get(job)

    jobs = Away(world.database, "images", "/photos")
    world.jobs.finish(running, JobState.SUCCEEDED)
    assert follow(jobs, running, world.delegate, world.stop, is_ours=True).state is JobState.SUCCEEDED
    assert following.OUTAGE_S >= 30
