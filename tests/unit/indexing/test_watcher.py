"""From what happens in a folder to keys to look at and syncs; the folder is real, what tells of it is not."""

import shutil
from types import SimpleNamespace

import pytest

from ml_api.corpus.base import FOLDER, FOLDER_GONE, Noticed
from ml_api.corpus.folder import FolderCorpus
from ml_api.corpus.versions import MISSING, version_of
from ml_api.errors import DatabaseUnavailable
from ml_api.indexing.guard import FEW
from ml_api.indexing.watcher import SETTLE_S, SYNC_AGAIN_S, SYNC_EVERY_S, Watcher
from ml_api.vocabulary import JobState


class Notices:
    """Tells what the test says."""

    def __init__(self, root):
        self.root = root
        self.next_ones = []
        self.gone_folders = set()

    def next(self):
        return self.next_ones.pop(0) if self.next_ones else Noticed()

    def state(self, key):
        path = self.root / key
        if not path.exists():
            return FOLDER_GONE if key in self.gone_folders else MISSING
        return FOLDER if path.is_dir() else version_of(path.stat())

    def close(self):
        pass


class Syncs:
    """Those that began, and what became of them."""

    def __init__(self):
        self.begun = []
        self.is_busy = False
        self.is_down = False

    def submit(self, _options):
        if self.is_busy:
            return SimpleNamespace(id=-1), False
        self.begun.append(SimpleNamespace(id=len(self.begun), state=JobState.RUNNING, active=True))
        return self.begun[-1], True

    def get(self, job):
        if self.is_down:
            raise DatabaseUnavailable("the database is down")
        return self.begun[job]

    def end(self, state=JobState.SUCCEEDED):
        self.begun[-1].state, self.begun[-1].active = state, False


class Noted:
    """The keys that were noted, by call."""

    def __init__(self):
        self.calls = []
        self.gone = set()
        self.is_down = False

    def note(self, keys, _source, gone=()):
        if self.is_down:
            raise DatabaseUnavailable("the database is down")
        self.calls += [sorted({*keys, *gone})] if keys or gone else []
        self.gone |= set(gone)


class World:
    def __init__(self, root):
        root.mkdir()
        self.root = root
        self.notices, self.syncs, self.noted = Notices(root), Syncs(), Noted()
        self.now = 0.0
        self.watcher = Watcher(
            self.notices, FolderCorpus(root), self.noted, self.syncs, special={"metadata.csv"}, clock=lambda: self.now
        )

    def write(self, *keys, text="x"):
        for key in keys:
            path = self.root / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def tell(self, *keys, **noticed):
        self.notices.next_ones.append(Noticed(frozenset(keys), **noticed))
        self.watcher.step()

    def later(self, seconds=SETTLE_S):
        self.now += seconds
        self.watcher.step()


@pytest.fixture
def world(tmp_path):
    return World((tmp_path / "corpus").resolve())


def test_a_file_is_looked_at_once_it_has_come_to_rest(world):
    world.write("a.png")
    world.tell("a.png")
    world.later(SETTLE_S / 2)
    assert world.noted.calls == []
    world.later(SETTLE_S / 2)
    assert world.noted.calls == [["a.png"]]
    world.later()
    assert world.noted.calls == [["a.png"]]


def test_a_file_that_grows_waits_until_it_grows_no_more_whether_that_is_told_or_not(world):
    world.write("a.png")
    world.tell("a.png")
    for size in range(2, 6):
        world.write("a.png", text="x" * size)
        world.later()
        assert world.noted.calls == []
    world.later()
    assert world.noted.calls == [["a.png"]]


def test_a_burst_is_noted_together(world):
    keys = [f"{number}.png" for number in range(1000)]
    world.write(*keys)
    world.tell(*keys)
    world.later()
    assert world.noted.calls == [sorted(keys)]


def test_what_is_no_image_by_its_name_is_not_looked_at(world):
    world.write("a.txt", "b.png.part")
    world.tell("a.txt", "b.png.part", "gone.part")
    world.later()
    assert world.noted.calls == []
    assert world.syncs.begun == []


def test_a_deleted_and_a_moved_file_are_noted_with_the_new_one(world):
    world.write("new.png")
    world.tell("old.png", "new.png")
    world.later()
    assert world.noted.calls == [["new.png", "old.png"]]
    assert world.noted.gone == {"old.png"}


def test_files_in_a_new_folder_are_found_and_waited_for(world):
    world.write("new/deeper/a.png", "new/.hidden/b.png", "new/c.txt")
    world.tell("new")
    world.later()
    world.write("new/deeper/a.png", text="more")
    world.later()
    assert world.noted.calls == []
    world.later()
    assert world.noted.calls == [["new/deeper/a.png"]]


def test_a_folder_that_moved_is_left_to_a_sync_which_embeds_nothing_again(world):
    world.write("new/a.png")
    world.notices.gone_folders.add("old")
    world.tell("old", "new")
    world.later()
    world.syncs.end()
    world.later()
    assert len(world.syncs.begun) == 1
    assert world.noted.calls == []


def test_more_deletions_than_the_guard_lets_pass_are_left_to_a_sync(world):
    gone = [f"{number}.png" for number in range(FEW + 1)]
    world.write("new.png")
    world.tell(*gone, "new.png")
    world.later()
    assert len(world.syncs.begun) == 1
    assert world.noted.calls == []

    world.syncs.end(JobState.REFUSED)
    world.later()
    assert world.noted.calls == [["new.png"]]  # what came is found though what went is not removed
    world.later(SYNC_AGAIN_S)
    assert len(world.syncs.begun) == 1


def test_what_may_have_been_overlooked_is_found_by_a_sync(world):
    world.tell(lost="the service starts")
    assert len(world.syncs.begun) == 1
    world.tell(lost="the system lost some")  # while it runs: it may have been there already
    assert len(world.syncs.begun) == 1
    world.syncs.end()
    world.later()
    assert len(world.syncs.begun) == 2


def test_a_sync_that_another_began_is_followed_by_one_of_its_own(world):
    world.syncs.is_busy = True
    world.tell(lost="the service starts")
    assert world.syncs.begun == []
    world.syncs.is_busy = False
    world.later(1.0)
    assert len(world.syncs.begun) == 1


def test_a_sync_that_failed_is_tried_again(world):
    world.tell(lost="the service starts")
    world.syncs.end(JobState.FAILED)
    world.later()
    assert len(world.syncs.begun) == 1
    world.later(SYNC_AGAIN_S)
    assert len(world.syncs.begun) == 2


def test_from_time_to_time_a_sync_finds_what_no_system_tells(world):
    world.later(SYNC_EVERY_S)
    assert world.syncs.begun == []
    world.later(1)
    world.syncs.end()
    world.later()
    assert len(world.syncs.begun) == 1


def test_changed_metadata_files_take_a_sync(world):
    world.write("metadata.csv")
    world.tell("metadata.csv")
    world.later()
    assert len(world.syncs.begun) == 1


def test_a_corpus_that_is_away_loses_nothing(world, caplog):
    world.write("a.png")
    world.tell("a.png")
    shutil.rmtree(world.root)
    world.tell(away=True)
    world.tell(away=True)
    world.later()
    assert world.noted.calls == []
    assert world.syncs.begun == []
    [record] = caplog.records
    assert "is its disk mounted? Nothing is removed" in record.getMessage()


def test_while_the_database_is_away_nothing_is_forgotten(world, caplog):
    world.write("a.png")
    world.tell("a.png")
    world.noted.is_down = True
    world.later()
    world.write("b.png")
    world.tell("b.png")
    world.later()
    assert [record.getMessage() for record in caplog.records] == ["what happened in the corpus waits: the database is down"]
    world.noted.is_down = False
    world.later()
    assert world.noted.calls == [["a.png", "b.png"]]


def test_what_comes_to_rest_while_a_sync_cannot_be_followed_is_not_forgotten(world):
    world.tell(lost="the service starts")
    world.write("a.png")
    world.tell("a.png", "gone.png")
    world.syncs.is_down = True
    world.later()
    assert world.noted.calls == []
    world.syncs.is_down = False
    world.later()
    assert world.noted.calls == [["a.png", "gone.png"]]


def test_a_sidecar_has_its_image_looked_at(world):
    world.write("dogs/rex.JPG", "dogs/rex.json", "dogs/max.json")
    world.tell("dogs/rex.json", "dogs/max.json")
    world.later()
    assert world.noted.calls == [["dogs/rex.JPG"]]
    (world.root / "dogs/rex.json").unlink()
    world.tell("dogs/rex.json")
    world.later()
    assert world.noted.calls == [["dogs/rex.JPG"], ["dogs/rex.JPG"]]
