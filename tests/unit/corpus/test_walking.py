"""The walk over hostile folders: what cannot be listed is reported, what is no part of it is counted, the rest is listed."""

import os
import subprocess
import sys
from contextlib import contextmanager
from itertools import pairwise

import pytest

from ml_api.corpus.base import Coverage, PassedOver
from ml_api.corpus.folder import FolderCorpus
from ml_api.errors import ConfigError, CorpusUnavailable, NotFound
from tests.unprivileged import open_folder, without_privileges


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "corpus"
    root.mkdir()
    return root


@pytest.fixture
def shared():
    with open_folder() as folder:
        yield folder


def write(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"data")
    return path


def listed(root, **options):
    """The keys, and what was left out."""
    coverage = Coverage()
    return [file.key for file in FolderCorpus(root, **options).list(coverage)], coverage


@pytest.mark.parametrize(("mode", "unlisted"), [(0o000, "b/"), (0o333, "b/"), (0o444, "b/x.jpg")])
def test_an_unreadable_or_unsearchable_folder_is_reported_and_the_rest_is_listed(shared, mode, unlisted):
    for key in ("a/x.jpg", "b/x.jpg", "c/x.jpg"):
        write(shared / key)
    (shared / "b").chmod(mode)
    with without_privileges():
        keys, coverage = listed(shared)
    assert keys == ["a/x.jpg", "c/x.jpg"]
    assert coverage.unlisted == {unlisted: "Permission denied"}
    assert list(coverage.problems()) == [f"{unlisted}: Permission denied"]
    assert coverage.hides("b/x.jpg")
    assert not coverage.hides("a/x.jpg")


def test_many_files_of_one_unsearchable_folder_are_one_problem(shared):
    for number in range(300):
        write(shared / f"b/{number:03}.jpg")
    (shared / "b").chmod(0o444)
    with without_privileges():
        _, coverage = listed(shared)
    assert list(coverage.problems()) == ["b/000.jpg and 299 others beside it: Permission denied"]
    assert coverage.hides("b/299.jpg")


def test_a_root_that_cannot_be_listed_is_no_empty_corpus(shared):
    (shared / "corpus").mkdir()
    (shared / "corpus").chmod(0)
    with without_privileges(), pytest.raises(CorpusUnavailable, match=r"corpus cannot be listed: Permission denied"):
        listed(shared / "corpus")


def test_a_folder_that_is_renamed_while_its_parent_is_listed_is_reported(root):
    for key in ("a/1.jpg", "b/1.jpg", "b/c/1.jpg", "d/1.jpg"):
        write(root / key)
    coverage = Coverage()
    files = FolderCorpus(root).list(coverage)
    first = next(files)
    (root / "b").rename(root / "z")
    assert [first.key, *(file.key for file in files)] == ["a/1.jpg", "d/1.jpg"]
    assert coverage.unlisted == {"b/": "No such file or directory"}
    assert coverage.hides("b/c/1.jpg"), "what is indexed of it stays until it is seen where it went"


def test_a_folder_that_becomes_a_file_while_its_parent_is_listed_is_reported(root):
    for key in ("a/1.jpg", "b/1.jpg"):
        write(root / key)
    coverage = Coverage()
    files = FolderCorpus(root).list(coverage)
    next(files)
    (root / "b/1.jpg").unlink()
    (root / "b").rmdir()
    (root / "b").write_bytes(b"")
    assert list(files) == []
    assert coverage.unlisted == {"b/": "Not a directory"}


def test_links_to_themselves_and_to_nothing_are_passed_over(root):
    """Resolving a loop raises RuntimeError, from Python 3.13 on nothing, and looking at it then OSError."""
    write(root / "a.jpg")
    (root / "self").symlink_to("self")
    (root / "self.jpg").symlink_to("self.jpg")
    (root / "one.jpg").symlink_to("two.jpg")
    (root / "two.jpg").symlink_to("one.jpg")
    (root / "nowhere.jpg").symlink_to("nothing.jpg")
    (root / "through.jpg").symlink_to("a.jpg/b.jpg")
    (root / "up").symlink_to("..")
    keys, coverage = listed(root)
    assert keys == ["a.jpg"]
    assert coverage.passed_over == {PassedOver.LINK: 7}
    assert not coverage.unlisted
    with pytest.raises(NotFound):
        FolderCorpus(root).read("self.jpg", 100)


@contextmanager
def nested(root, name, depth, file):
    """Made and removed step by step, as neither Python nor the system takes the whole path in one call."""
    try:
        here = os.open(root, os.O_RDONLY)
        for _ in range(depth):
            os.mkdir(name, dir_fd=here)
            below = os.open(name, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = below
        os.close(os.open(file, os.O_CREAT | os.O_WRONLY, dir_fd=here))
        os.close(here)
        yield f"{name}/" * depth + file
    finally:
        subprocess.run(["rm", "-r", str(root / name)], check=True)


def test_folders_nested_deeper_than_pythons_recursion_are_listed(root):
    write(root / "z.jpg")
    assert sys.getrecursionlimit() < 1200
    with nested(root, "d", 1200, "x.jpg") as key:
        keys, coverage = listed(root)
    assert keys == [key, "z.jpg"]
    assert not coverage.unlisted


def test_a_path_longer_than_the_system_takes_is_reported(root):
    write(root / "z.jpg")
    with nested(root, "n" * 200, 30, "x.jpg") as key:
        keys, coverage = listed(root)
    assert keys == ["z.jpg"]
    [(unlisted, reason)] = coverage.unlisted.items()
    assert reason == "File name too long"
    assert len(os.fsencode(root / unlisted)) > 4095
    assert coverage.hides(key)


@pytest.mark.parametrize(
    "folder",
    ["@eaDir", "#recycle", "$RECYCLE.BIN", "$Recycle.Bin", "lost+found", ".Trash-1000", ".Trashes", "System Volume Information"],
)
def test_what_systems_leave_in_shared_folders_is_ignored(root, folder):
    write(root / "a.jpg")
    write(root / "2024" / folder / "x.jpg")
    keys, coverage = listed(root)
    assert keys == ["a.jpg"]
    assert coverage.passed_over.total() == 1


def test_a_file_that_is_called_like_a_bin_is_none(root):
    write(root / "lost+found.jpg")
    write(root / "@eaDir.jpg")
    assert listed(root)[0] == ["@eaDir.jpg", "lost+found.jpg"]


def test_own_patterns_are_gitignores(root):
    for key in ("a.jpg", "raw/a.jpg", "2024/raw/b.jpg", "2024/keep.jpg", "2024/tmp-1.jpg", "only/top.jpg", "2024/only/x.jpg"):
        write(root / key)
    (root / ".mlapiignore").write_text("# a comment\n/only/\ntmp-*\n!keep.jpg\n", encoding="utf-8-sig")
    keys, coverage = listed(root, ignore=["raw/", "keep.jpg"])
    assert keys == ["2024/keep.jpg", "2024/only/x.jpg", "a.jpg"]
    assert coverage.passed_over == {PassedOver.IGNORED: 4, PassedOver.HIDDEN: 1}


def test_an_ignore_file_that_cannot_be_read_stops_the_listing(shared):
    """What it names was meant to stay out of the index."""
    write(shared / "a.jpg")
    (shared / ".mlapiignore").write_text("a.jpg\n")
    (shared / ".mlapiignore").chmod(0)
    with without_privileges(), pytest.raises(ConfigError, match="mlapiignore cannot be read: Permission denied"):
        listed(shared)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")], ids=["FIFO", "folder", "device"])
def test_an_ignore_file_that_is_none_is_refused_and_not_waited_for(root, make):
    write(root / "a.jpg")
    make(root / ".mlapiignore")
    with pytest.raises(ConfigError, match="mlapiignore is not a file"):
        listed(root)


def test_an_ignore_file_outside_is_read_only_if_links_are_followed(root, tmp_path):
    write(root / "a.jpg")
    (tmp_path / "patterns").write_text("a.jpg\n")
    (root / ".mlapiignore").symlink_to(tmp_path / "patterns")
    with pytest.raises(ConfigError, match="leads out of the corpus"):
        listed(root)
    assert listed(root, follow_links=True)[0] == []


def test_a_pattern_that_is_none_is_named(root):
    with pytest.raises(ConfigError, match="gitignore syntax"):
        listed(root, ignore=["!"])


def test_what_is_passed_over_is_counted_by_reason(root, tmp_path):
    for key in ("a.txt", "b.txt", "c.CR2", "noext", ".DS_Store", "x/@eaDir/y.jpg", "metadata.csv", "metadata.jsonl"):
        write(root / key)
    (root / "link.jpg").symlink_to(write(tmp_path / "secret.jpg"))
    os.mkfifo(root / "pipe.jpg")
    _, coverage = listed(root)
    assert coverage.summary() == ("4 with other endings (.txt 2, .cr2 1, none 1), 1 hidden, 1 link, 1 no regular file, 1 ignored")


@pytest.mark.parametrize(
    "make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("nowhere")], ids=["FIFO", "folder", "broken link"]
)
def test_what_is_beside_an_image_and_no_file_is_no_part_of_its_version(root, make):
    write(root / "rex.jpg")
    corpus = FolderCorpus(root)
    before = corpus.version("rex.jpg")
    make(root / "rex.json")
    [file] = corpus.list()
    assert file.version == corpus.version("rex.jpg") == before


@pytest.mark.parametrize("follow_links", [False, True])
def test_what_this_application_writes_is_never_listed(root, tmp_path, follow_links):
    """Below the corpus, and through links into it from there, to a folder as to a file."""
    write(root / "a.jpg")
    thumbnails, store = root / "data/thumbnails", root / "data/milvus.db"
    write(thumbnails / "ab" / "cd.webp")
    write(store / "x.png")
    elsewhere = tmp_path / "cache"
    write(elsewhere / "ab" / "ef.webp")
    (root / "previews").symlink_to(elsewhere)
    (root / "within").symlink_to(thumbnails)
    (root / "one.webp").symlink_to(thumbnails / "ab" / "cd.webp")
    (root / "two.webp").symlink_to(elsewhere / "ab" / "ef.webp")
    alias = tmp_path / "alias"
    alias.symlink_to(thumbnails)
    keys, coverage = listed(root, ours=[alias, store, elsewhere, tmp_path / "not yet"], follow_links=follow_links)
    assert keys == ["a.jpg"]
    assert coverage.passed_over[PassedOver.OURS] >= 4


def test_a_corpus_below_a_folder_of_ours_is_listed(root, tmp_path):
    write(root / "a.jpg")
    (root / "b.jpg").symlink_to("a.jpg")
    assert listed(root, ours=[tmp_path])[0] == ["a.jpg", "b.jpg"]


class TestFollowingLinks:
    def test_linked_folders_are_passed_over_unless_asked_for(self, root, tmp_path):
        write(tmp_path / "disk/2019/x.jpg")
        (root / "2019").symlink_to(tmp_path / "disk/2019")
        assert listed(root)[0] == []
        assert listed(root)[1].passed_over == {PassedOver.LINK: 1}
        assert listed(root, follow_links=True)[0] == ["2019/x.jpg"]
        assert FolderCorpus(root, follow_links=True).read("2019/x.jpg", 10) == b"data"
        with pytest.raises(NotFound):
            FolderCorpus(root).read("2019/x.jpg", 10)

    def test_loops_end_and_every_folder_is_listed_once(self, root, tmp_path):
        outside = tmp_path / "disk"
        write(outside / "x.jpg")
        write(root / "real/y.jpg")
        (root / "a-alias").symlink_to(root / "real")
        (root / "disk").symlink_to(outside)
        (root / "disk2").symlink_to(outside)
        (outside / "back").symlink_to(root)
        (outside / "self").symlink_to(outside)
        (root / "parent").symlink_to(tmp_path)
        keys, _ = listed(root, follow_links=True)
        assert keys == ["disk/x.jpg", "real/y.jpg"]

    def test_links_among_links_do_not_multiply(self, root, tmp_path):
        """Thirty folders with two links each to the next: 2^30 paths."""
        floors = [tmp_path / f"floor{number}" for number in range(31)]
        for floor, above in pairwise(floors):
            floor.mkdir()
            (floor / "left").symlink_to(above)
            (floor / "right").symlink_to(above)
        write(floors[-1] / "x.jpg")
        (root / "in").symlink_to(floors[0])
        assert listed(root, follow_links=True)[0] == ["in/" + "left/" * 30 + "x.jpg"]

    def test_a_link_to_a_disk_that_is_not_there_hides_what_was_below(self, root, tmp_path):
        (root / "2019").symlink_to(tmp_path / "not mounted")
        _, coverage = listed(root, follow_links=True)
        assert coverage.hides("2019/x.jpg")

    @pytest.mark.parametrize("key", ["../secret.jpg", "/etc/passwd", "a/../../secret.jpg", ""])
    def test_no_key_reaches_outside_by_its_words(self, root, tmp_path, key):
        write(tmp_path / "secret.jpg")
        (root / "a").mkdir()
        with pytest.raises(NotFound):
            FolderCorpus(root, follow_links=True).read(key, 100)


def test_a_file_that_cannot_be_read_is_no_missing_one(shared):
    write(shared / "a.jpg").chmod(0)
    with without_privileges(), pytest.raises(CorpusUnavailable, match="Permission denied"):
        FolderCorpus(shared).read("a.jpg", 10)
