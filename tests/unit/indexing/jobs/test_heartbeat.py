"""Who lives is told by whether a number grows, not by anybody's clock."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select, text, update

from ml_api.database.tables import OwnerRow
from ml_api.indexing.jobs.heartbeat import BEAT_S, SILENCE_S, Heartbeat, Owners
from tests.databases import new_database
from tests.waiting import wait_until

ELSEWHERE = "another-machine/17/1234"


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def database(tmp_path):
    database = new_database(tmp_path / "state.sqlite3")
    yield database
    database.close()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def owners(database, clock):
    return Owners(database, clock=clock)


def appear(database, name=ELSEWHERE):
    with database.write() as session:
        session.add(OwnerRow(name=name, target="images", corpus="/photos", model="clip@1", beat=1))
    return name


def beat(database, name=ELSEWHERE):
    with database.write() as session:
        session.execute(update(OwnerRow).where(OwnerRow.name == name).values(beat=OwnerRow.beat + 1))


def looks(owners, clock, seconds, name=ELSEWHERE):
    """Every half second, as a runner does."""
    found = False
    for _ in range(int(seconds * 2)):
        found = owners.is_gone(name)
        clock.now += 0.5
    return found


def test_one_that_goes_silent_is_gone_after_a_while(database, clock, owners):
    appear(database)
    assert not looks(owners, clock, SILENCE_S)
    assert looks(owners, clock, 1)


def test_one_that_counts_up_lives_however_slowly(database, clock, owners):
    appear(database)
    for _ in range(5):
        assert not looks(owners, clock, SILENCE_S - 1)
        beat(database)
    assert not looks(owners, clock, SILENCE_S - 1)


def test_while_nobody_could_look_silence_does_not_count(database, clock, owners):
    """As while the database was away: nobody could count up either."""
    appear(database)
    looks(owners, clock, SILENCE_S - 1)
    clock.now += 60
    assert not owners.is_gone(ELSEWHERE)
    assert looks(owners, clock, SILENCE_S + 1)


def test_one_without_a_row_is_gone(owners):
    assert owners.is_gone(ELSEWHERE)


def test_a_process_of_this_machine_that_was_killed_is_gone_at_once(database, owners):
    code = (
        "import sys, time\nfrom ml_api.database import Database\nfrom ml_api.indexing.jobs.heartbeat import Heartbeat\n"
        "print(Heartbeat(Database.open(sys.argv[1]), 'images', '/photos', model='clip@1').name, flush=True)\ntime.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, database.location], stdout=subprocess.PIPE, text=True, cwd=Path.cwd())
    try:
        name = process.stdout.readline().strip()
        assert [service.name for service in owners.services("images")] == [name]
        process.kill()  # and nobody has waited for it yet: it is still in the table of processes
        wait_until(lambda: owners.is_gone(name))
        assert owners.services("images") == []
    finally:
        process.kill()
        process.communicate()
    with database.read() as session:
        assert session.scalars(select(OwnerRow)).all() == []


def test_a_presence_that_was_forgotten_comes_back(database, owners):
    heartbeat = Heartbeat(database, "images", "/photos", model="clip@1", every_s=0.01)
    with database.write() as session:
        session.query(OwnerRow).delete()
    wait_until(lambda: not owners.is_gone(heartbeat.name))
    heartbeat.close()
    assert owners.is_gone(heartbeat.name)


def test_that_another_model_is_in_use_is_told_once_the_database_is_back(database, owners):
    heartbeat = Heartbeat(database, "images", "/photos", model="clip@1", every_s=0.01)
    with database.write() as session:
        session.execute(text("ALTER TABLE owners RENAME TO lost"))
    heartbeat.embeds_with("clip@2")
    with database.write() as session:
        session.execute(text("ALTER TABLE lost RENAME TO owners"))
    wait_until(lambda: [service.model for service in owners.services("images")] == ["clip@2"])
    heartbeat.close()


class Crowded:
    """A database that counts who writes at once; while somebody does, another is let try."""

    def __init__(self, inner):
        self._inner = inner
        self.meanwhile = None
        self.writing = self.most = 0

    @contextmanager
    def write(self):
        self.writing += 1
        self.most = max(self.most, self.writing)
        begin, self.meanwhile = self.meanwhile, None
        if begin is not None:
            wait([begin()], 0.2)
        try:
            with self._inner.write() as session:
                yield session
        finally:
            self.writing -= 1


def test_two_threads_never_both_find_its_row_gone(database):
    """The second failed, as the row of the first was there: on PostgreSQL, where writers do not wait for each other."""
    crowded = Crowded(database)
    heartbeat = Heartbeat(crowded, "images", "/photos", model="clip@1")
    with ThreadPoolExecutor(1) as threads:
        crowded.meanwhile = lambda: threads.submit(heartbeat.embeds_with, "clip@2")
        heartbeat.embeds_with("clip@2")
    heartbeat.close()
    assert crowded.most == 1


def test_silence_is_several_missed_beats():
    assert SILENCE_S >= 4 * BEAT_S
