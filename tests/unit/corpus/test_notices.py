"""What happens in a real folder, as the real system tells it."""

import os
import subprocess
import sys
from contextlib import closing

import pytest

from ml_api.corpus.base import FOLDER, FOLDER_GONE
from ml_api.corpus.folder import FolderCorpus
from ml_api.corpus.notices import BEGINNING, FolderNotices
from ml_api.corpus.versions import MISSING
from ml_api.errors import CorpusUnavailable, NotFound
from tests.waiting import wait_until


@pytest.fixture
def root(tmp_path):
    folder = (tmp_path / "corpus").resolve()
    (folder / "old").mkdir(parents=True)
    (folder / "old" / "a.png").touch()
    return folder


@pytest.fixture
def notices(root):
    (root.parent / "link").symlink_to(root)
    notices = FolderNotices(root, [root.parent / "link" / "data"])  # as it is given, perhaps through a link
    assert notices.next().lost == BEGINNING
    yield notices
    notices.close()
    notices.next()


def named(notices, *expected):
    """Everything that is told until the expected keys were."""
    found = set()

    def all_were_told():
        found.update(notices.next().keys)
        return found >= set(expected)

    wait_until(all_were_told, otherwise=f"{expected} were not told")
    return found


def lost(notices):
    return wait_until(lambda: notices.next().lost, otherwise="nothing was lost")


def test_files_and_folders_that_come_change_and_go_are_named(root, notices):
    (root / "b.png").touch()
    (root / "new" / "deeper").mkdir(parents=True)
    named(notices, "b.png", "new")
    assert notices.state("new") == FOLDER
    assert notices.state("b.png").startswith("0-")

    (root / "new" / "deeper" / "c.png").touch()
    named(notices, "new/deeper/c.png")
    (root / "new").rename(root / "newer")
    named(notices, "new", "newer")
    assert notices.state("new") == FOLDER_GONE
    (root / "b.png").unlink()
    named(notices, "b.png")
    assert notices.state("b.png") == MISSING


def test_the_version_of_a_file_is_that_of_a_listing(root, notices):
    (root / "b.png").write_bytes(b"1234")
    [file] = FolderCorpus(root).list(prefix="b.png")
    assert notices.state("b.png") == file.version


def test_hidden_files_and_our_own_are_of_no_interest_but_patterns_are(root, notices):
    (root / ".hidden").mkdir()
    (root / ".hidden" / "x.png").touch()
    (root / "old" / ".x.png").touch()
    (root / "data").mkdir()
    (root / "data" / "y.png").touch()
    (root / ".mlapiignore").touch()
    assert named(notices, ".mlapiignore") <= {".mlapiignore", "data"}


def test_a_name_that_is_not_utf_8_is_a_reason_to_look_and_what_comes_after_is_told(root, notices):
    (root / os.fsdecode(b"\xff.png")).touch()
    assert "watching failed" in lost(notices)
    lost(notices)  # it begins again
    (root / "b.png").touch()
    named(notices, "b.png")


def test_names_that_end_the_watching_again_and_again_are_told_and_the_folder_is_listed_from_time_to_time(root, caplog):
    """Each sync lists the folder, which ends the watching: it asked for the next sync, every 30 s for ever."""
    (root / os.fsdecode(b"dossier\xff")).mkdir()
    with closing(FolderNotices(root, every_s=0.1)) as notices:
        told = []
        while told[-3:] != 3 * ["the folder cannot be watched"]:
            list(FolderCorpus(root).list())
            told.append(lost(notices))
            assert len(told) < 10
    assert sum("watching failed" in why for why in told) == 1
    assert caplog.text.count("watching it failed twice (Unable to decode path") == 1
    assert "Rename what has a name that is not UTF-8; watching is tried again every 10 min" in caplog.text


SHORT_OF_DESCRIPTORS = """
import logging, os, resource, sys
from contextlib import suppress
from pathlib import Path
from ml_api.corpus.notices import FolderNotices

logging.basicConfig(format="%(message)s", stream=sys.stdout)
notices = FolderNotices(Path(sys.argv[1]))
highest = max(map(int, os.listdir("/proc/self/fd")))
resource.setrlimit(resource.RLIMIT_NOFILE, (highest, highest))
with suppress(OSError):
    while True:
        os.dup(0)
notices.next(), notices.next()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="it counts descriptors in /proc")
def test_where_the_system_has_no_more_to_watch_with_the_remedy_is_that(root):
    """It was to rename what has a name that is not UTF-8."""
    said = subprocess.run([sys.executable, "-c", SHORT_OF_DESCRIPTORS, root], capture_output=True, text=True, check=True).stdout
    assert "watching it failed twice" in said
    assert "Too many open files" in said
    assert "Raise fs.inotify.max_user_watches (and max_user_instances) with sysctl" in said


def test_so_many_at_once_as_the_kernel_may_not_keep_are_a_reason_to_look(root):
    with closing(FolderNotices(root, many=50)) as notices:
        notices.next()
        for number in range(60):
            (root / f"{number}.png").touch()
        assert "came at once" in lost(notices)


def test_a_folder_that_is_gone_is_away_and_looked_at_when_it_is_there_again(root, notices):
    root.rename(root.with_name("unmounted"))
    wait_until(lambda: notices.next().away)
    root.mkdir()
    wait_until(lambda: notices.next().away)  # where a disk is mounted as a rule: an empty folder
    (root / "a.png").touch()
    assert lost(notices)
    (root / "b.png").touch()
    named(notices, "b.png")


def test_files_of_a_folder_that_is_gone_are_not_gone(root):
    corpus = FolderCorpus(root)
    with pytest.raises(NotFound):
        corpus.version("old/other.png")
    root.rename(root.with_name("unmounted"))
    for ask in (corpus.version, lambda key: corpus.read(key, 100), corpus.delete, lambda key: corpus.write(key, b"x")):
        with pytest.raises(CorpusUnavailable, match="is its disk mounted"):
            ask("old/a.png")
    root.mkdir()
    for ask in (corpus.version, corpus.delete, lambda key: corpus.write(key, b"x")):
        with pytest.raises(CorpusUnavailable, match="is its disk mounted"):
            ask("old/a.png")
    assert not list(root.iterdir()), "written where the disk is mounted"
    (root / "b.png").touch()
    with pytest.raises(NotFound):
        corpus.version("old/a.png")


def test_a_disk_that_was_mounted_again_may_be_emptied(root):
    corpus = FolderCorpus(root)
    root.rename(root.with_name("before"))
    root.mkdir()
    (root / "a.png").touch()
    assert corpus.version("a.png")
    (root / "a.png").unlink()
    with pytest.raises(NotFound):
        corpus.version("a.png")
    corpus.write("b.png", b"x")
    corpus.delete("b.png")

    root.rename(root.with_name("between"))
    root.mkdir()  # once more the place of a disk that is not mounted
    with pytest.raises(CorpusUnavailable, match="is its disk mounted"):
        corpus.version("a.png")


WITHOUT_WATCHES = """
import pathlib, sys
pathlib.Path("/proc/sys/user/max_inotify_watches").write_text(sys.argv[2])
from ml_api.corpus.notices import FolderNotices
root = pathlib.Path(sys.argv[1])
notices = FolderNotices(root, every_s=0.5)
print(notices.next().lost)
for number in range(5):
    (root / f"new{number}").mkdir()
found = []
for _ in range(10):
    noticed = notices.next()
    found += [noticed.lost] * bool(noticed.lost)
print(found)
notices.close()
"""


WITH_A_DISK = """
import pathlib, subprocess, sys
from ml_api.corpus.folder import FolderCorpus
from ml_api.corpus.notices import FolderNotices
from ml_api.errors import CorpusUnavailable
root = pathlib.Path(sys.argv[1])
def mount():
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", root], check=True)
    (root / "a.png").touch()
def told(key=""):
    found = [notices.next() for _ in range(3)]
    while key and len(found) < 50 and not any(key in one.keys for one in found):
        found.append(notices.next())
    return [key for one in found for key in one.keys], any(one.lost for one in found), any(one.away for one in found)
mount()
corpus, notices = FolderCorpus(root), FolderNotices(root)
print(told())
subprocess.run(["umount", root], check=True)
print(told())
try:
    corpus.version("a.png")
except CorpusUnavailable as exc:
    print(exc.detail)
mount()
print(told())
(root / "b.png").touch()
print(told("b.png"))
notices.close()
"""


def in_a_namespace(program, *arguments, mounts=False):
    """Where this user may be root: limits and mounts there are of its own."""
    namespaces = ["--user", "--map-root-user", *(["--mount"] if mounts else [])]
    command = ["unshare", *namespaces, sys.executable, "-c", program, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if "unshare" in result.stderr or "mount:" in result.stderr:
        pytest.skip(f"no user namespaces here: {result.stderr}")
    return result


def test_a_disk_that_is_unmounted_is_away_and_watched_again_when_it_is_back(tmp_path):
    root = tmp_path.resolve()
    result = in_a_namespace(WITH_A_DISK, root, mounts=True)
    assert result.stdout.splitlines() == [
        "([], True, False)",
        "([], False, True)",
        f"the corpus {root} is not there: is its disk mounted?",
        "([], True, False)",
        "(['b.png'], False, False)",
    ], result.stderr


@pytest.mark.parametrize(("watches", "at_first"), [(1, "cannot be watched"), (3, BEGINNING)])
def test_where_no_more_folders_can_be_watched_it_says_so_and_looks_from_time_to_time(root, watches, at_first):
    result = in_a_namespace(WITHOUT_WATCHES, root, watches)
    assert at_first in result.stdout.splitlines()[0], result.stderr
    assert result.stdout.count("cannot be watched") >= 2
    assert "Raise fs.inotify.max_user_watches" in result.stderr
