"""Writing into a corpus folder: whole or not at all, never through a link, and what the system refuses is said."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ml_api.corpus.base import Coverage
from ml_api.corpus.folder import FolderCorpus
from ml_api.corpus.writing import ABANDONED_S, UNFINISHED, FolderWriter
from ml_api.errors import CorpusReadOnly, CorpusUnavailable, InsufficientStorage, InvalidKey, NotFound
from tests.unprivileged import open_folder, without_privileges

ROOT = Path(__file__).parents[3]


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "corpus"
    root.mkdir()
    return root


@pytest.fixture
def outside(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.jpg").write_bytes(b"secret")
    return outside


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_nothing_is_written_or_deleted_through_a_link(root, outside):
    (root / "out").symlink_to(outside)
    (root / "real").mkdir()
    (root / "in").symlink_to(root / "real")
    corpus = FolderCorpus(root)
    for key in ("out/a.jpg", "out/new/b.jpg", "in/a.jpg"):
        with pytest.raises(InvalidKey, match="which is a link"):
            corpus.write(key, b"x")
        with pytest.raises(InvalidKey, match="which is a link"):
            corpus.delete(key)
    assert (outside / "a.jpg").read_bytes() == b"secret"
    assert names(outside) == ["a.jpg"]
    assert not list((root / "real").iterdir())


def test_linked_folders_belong_to_the_corpus_where_links_are_followed(root, outside):
    (root / "out").symlink_to(outside)
    corpus = FolderCorpus(root, follow_links=True)
    version = corpus.write("out/b.jpg", b"x")
    assert {file.key: file.version for file in corpus.list()}["out/b.jpg"] == version == corpus.version("out/b.jpg")
    corpus.delete("out/b.jpg")
    assert names(outside) == ["a.jpg"]


def test_only_a_file_is_replaced(root, outside):
    (root / "link.jpg").symlink_to(outside / "a.jpg")
    os.mkfifo(root / "pipe.jpg")
    (root / "folder.jpg").mkdir()
    (root / "file.jpg").write_bytes(b"x")
    corpus = FolderCorpus(root)
    for key, words in {"link.jpg": "a link", "pipe.jpg": "a pipe", "folder.jpg": "a folder"}.items():
        with pytest.raises(InvalidKey, match=f"{key}' is {words}"):
            corpus.write(key, b"x")
    with pytest.raises(InvalidKey, match=r"below 'file\.jpg', which is a file"):
        corpus.write("file.jpg/a.jpg", b"x")
    with pytest.raises(InvalidKey, match="is a pipe"):
        corpus.delete("pipe.jpg")
    assert (outside / "a.jpg").read_bytes() == b"secret"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_a_device_is_neither_written_nor_deleted(root):
    try:
        os.mknod(root / "null.jpg", 0o666 | 0o020000, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("this container may not make devices")
    for change in (lambda: FolderCorpus(root).write("null.jpg", b"x"), lambda: FolderCorpus(root).delete("null.jpg")):
        with pytest.raises(InvalidKey, match="a device"):
            change()
    with pytest.raises(NotFound):
        FolderCorpus(root).version("null.jpg")


def test_a_link_is_deleted_and_not_what_it_leads_to(root):
    (root / "a.jpg").write_bytes(b"x")
    (root / "b.jpg").symlink_to(root / "a.jpg")
    FolderCorpus(root).delete("b.jpg")
    assert names(root) == ["a.jpg"]


@pytest.mark.parametrize("follow_links", [False, True])
def test_links_have_the_version_that_a_listing_gives(root, outside, follow_links):
    (root / "sub").mkdir()
    (root / "sub" / "a.jpg").write_bytes(b"x")
    (root / "thumbnails").mkdir()
    (root / "thumbnails" / "t.jpg").write_bytes(b"x")
    for name, target in {
        "file.jpg": root / "sub" / "a.jpg",
        "out.jpg": outside / "a.jpg",
        "loop.jpg": root / "loop.jpg",
        "gone.jpg": root / "nowhere.jpg",
        "ours.jpg": root / "thumbnails" / "t.jpg",
        "folder": root / "sub",
        "outside": outside,
        "cache": root / "thumbnails",
    }.items():
        (root / name).symlink_to(target)
    corpus = FolderCorpus(root, ours=[root / "thumbnails"], follow_links=follow_links)
    listed = {file.key: file.version for file in corpus.list()}
    asked = {}
    for key in (
        *listed,
        "out.jpg",
        "loop.jpg",
        "gone.jpg",
        "ours.jpg",
        "folder/a.jpg",
        "outside/a.jpg",
        "cache/t.jpg",
        "thumbnails/t.jpg",
    ):
        try:
            asked[key] = corpus.version(key)
        except NotFound:
            continue
    assert asked == listed


def test_our_own_folders_are_not_written_into(root):
    (root / "thumbnails").mkdir()
    with pytest.raises(InvalidKey, match="this application's own data"):
        FolderCorpus(root, ours=[root / "thumbnails"]).write("thumbnails/a.jpg", b"x")


def test_a_name_that_the_file_system_refuses_is_an_invalid_key(root):
    with pytest.raises(InvalidKey, match="too long for the file system"):
        FolderCorpus(root).write("x" * 300 + ".jpg", b"x")


def test_who_may_read_the_folder_may_read_the_file(root):
    before = os.umask(0o077)
    try:
        root.chmod(0o755)
        FolderCorpus(root).write("new/a.jpg", b"x")
        assert (root / "new").stat().st_mode & 0o777 == 0o755
        assert (root / "new" / "a.jpg").stat().st_mode & 0o777 == 0o644
        (root / "new" / "a.jpg").chmod(0o600)
        FolderCorpus(root).write("new/a.jpg", b"y")
        assert (root / "new" / "a.jpg").stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)


def test_a_folder_without_rights_is_read_only():
    with open_folder() as folder, without_privileges():
        (folder / "a.jpg").write_bytes(b"x")
        folder.chmod(0o555)
        corpus = FolderCorpus(folder)
        for change in (
            lambda: corpus.write("b.jpg", b"x"),
            lambda: corpus.write("new/b.jpg", b"x"),
            lambda: corpus.delete("a.jpg"),
        ):
            with pytest.raises(CorpusReadOnly, match="this service's user may not write there"):
                change()
        assert names(folder) == ["a.jpg"]


def test_a_folder_that_vanishes_while_it_is_written_to_is_unavailable(root):
    writer = FolderWriter(root / "gone", lambda _status: False, follow_links=False)
    with pytest.raises(CorpusUnavailable, match=r"'new/a\.jpg' cannot be written: No such file or directory"):
        writer.write("new/a.jpg", b"x")


def mounted(folder, options):
    folder.mkdir()
    result = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, check=False)
    if result.returncode != 0:
        pytest.skip("this container may not mount a disk")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_on_a_full_disk_nothing_is_half_written_and_it_works_again_with_room(tmp_path):
    disk = tmp_path / "disk"
    mounted(disk, "size=400k")
    try:
        corpus = FolderCorpus(disk)
        corpus.write("a.jpg", b"old")
        version = corpus.write("filler.jpg", b"x" * 300_000)
        for key in ("a.jpg", "new.jpg"):
            with pytest.raises(InsufficientStorage, match=f"no room is left in the corpus for '{key}'"):
                corpus.write(key, b"y" * 200_000)
        assert names(disk) == ["a.jpg", "filler.jpg"]
        assert (corpus.read("a.jpg", 10), corpus.version("filler.jpg")) == (b"old", version)
        corpus.delete("filler.jpg")
        corpus.write("a.jpg", b"y" * 200_000)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a disk read-only")
def test_a_disk_mounted_read_only_is_said_to_be(tmp_path):
    disk = tmp_path / "disk"
    mounted(disk, "size=400k,ro")
    try:
        corpus = FolderCorpus(disk)
        assert not corpus.writable
        with pytest.raises(CorpusReadOnly, match="the disk is mounted read-only"):
            corpus.write("a.jpg", b"x")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_file_over_the_systems_limit_is_a_lack_of_room(root):
    """The limit is the process's: a process of its own meets it."""
    code = """
import resource, signal, sys
from pathlib import Path
from ml_api.corpus.folder import FolderCorpus
from ml_api.errors import InsufficientStorage
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    FolderCorpus(Path(sys.argv[1])).write("a.jpg", b"x" * 2000)
except InsufficientStorage:
    print("no room")
"""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1000
    done = subprocess.run([sys.executable, "-c", code, str(root)], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "no room\n"
    assert names(root) == []


def test_what_a_killed_process_left_is_not_counted_and_goes(root):
    fresh, old = root / f"{UNFINISHED}1.part", root / f"{UNFINISHED}2.part"
    for path in (fresh, old):
        path.write_bytes(b"half")
    abandoned = time.time() - ABANDONED_S - 60
    os.utime(old, (abandoned, abandoned))
    coverage = Coverage()
    assert list(FolderCorpus(root).list(coverage)) == []
    assert coverage.summary() == ""
    assert names(root) == [fresh.name]


def test_a_process_that_is_killed_while_it_writes_leaves_the_old_file_or_the_new_one(root):
    code = """
import sys
from pathlib import Path
from ml_api.corpus.folder import FolderCorpus
corpus = FolderCorpus(Path(sys.argv[1]))
number = 0
while True:
    number = (number + 1) % 256
    corpus.write("a.jpg", bytes([number]) * 1_000_000)
    print(number, flush=True)
"""
    for _ in range(5):
        process = subprocess.Popen([sys.executable, "-c", code, str(root)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        try:
            for _ in range(3):
                process.stdout.readline()
        finally:
            process.kill()
            process.communicate()
        data = FolderCorpus(root).read("a.jpg", 1_000_000)
        assert data == data[:1] * 1_000_000
