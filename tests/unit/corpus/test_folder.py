"""The corpus folder: what is listed, what is read, and that nothing outside is."""

import os

import pytest

from ml_api.corpus.folder import FolderCorpus
from ml_api.corpus.ignoring import IgnoreRules
from ml_api.errors import ConfigError, NotFound, TooLarge
from ml_api.images import SUFFIXES
from tests.files.metadata_files import ReadMetadata


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "corpus"
    root.mkdir()
    return root


def write(path, data=b"data"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def keys(root):
    return [file.key for file in FolderCorpus(root).list()]


def test_images_are_listed_in_the_order_of_their_keys(root):
    for key in ("b.jpg", "a/z.PNG", "a.webp", "a/b/c.heic"):
        write(root / key)
    assert keys(root) == sorted(["b.jpg", "a/z.PNG", "a.webp", "a/b/c.heic"])


def test_files_of_every_format_that_is_read_are_listed(root):
    names = [f"picture{suffix}" for suffix in SUFFIXES]
    for name in names:
        write(root / name)
    assert {"picture.jp2", "picture.j2k", "picture.psd", "picture.ico", "picture.hif", "picture.mpo"} <= set(names)
    assert keys(root) == sorted(names)


def test_other_files_and_hidden_ones_are_not(root):
    for key in ("notes.txt", "metadata.jsonl", ".hidden.jpg", ".git/x.jpg", "noext", "a.jpg.part", "jpg", "a.b/png"):
        write(root / key)
    assert keys(root) == []


def test_the_version_changes_with_the_file_only(root):
    path = write(root / "a.jpg", b"one")
    [first] = FolderCorpus(root).list()
    [again] = FolderCorpus(root).list()
    assert first == again
    path.write_bytes(b"three")
    [changed] = FolderCorpus(root).list()
    assert changed.version != first.version


def test_a_file_of_the_same_size_with_another_time_is_another_version(root):
    path = write(root / "a.jpg")
    [first] = FolderCorpus(root).list()
    os.utime(path, ns=(1, 1))
    [touched] = FolderCorpus(root).list()
    assert touched.version != first.version


def test_links_to_the_outside_are_neither_listed_nor_read(root, tmp_path):
    secret = write(tmp_path / "secret.jpg")
    (root / "link.jpg").symlink_to(secret)
    (root / "folder").symlink_to(tmp_path)
    assert keys(root) == []
    with pytest.raises(NotFound):
        FolderCorpus(root).read("link.jpg", 100)
    with pytest.raises(NotFound):
        FolderCorpus(root).read("folder/secret.jpg", 100)


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
def test_metadata_outside_is_read_only_if_links_are_followed(root, tmp_path, name):
    rows = {"metadata.csv": b"key,caption\na.jpg,secret\n", "metadata.jsonl": b'{"key": "a.jpg", "caption": "secret"}\n'}
    (root / name).symlink_to(write(tmp_path / "outside", rows[name]))

    found = ReadMetadata(root)
    assert (found.by_key, found.complete) == ({}, False)
    assert f"{name} cannot be read: it is a link that leads out" in found.problems[0]
    assert ReadMetadata(root, follow_links=True).by_key == {"a.jpg": {"caption": "secret"}}

    (root / name).unlink()
    (root / name).symlink_to(write(root / "sub" / "inside", rows[name]))
    assert ReadMetadata(root).by_key == {"a.jpg": {"caption": "secret"}}


def test_a_link_inside_the_corpus_is_listed(root):
    write(root / "a.jpg")
    (root / "b.jpg").symlink_to(root / "a.jpg")
    assert keys(root) == ["a.jpg", "b.jpg"]


def test_a_loop_of_links_and_a_pipe_are_passed_over(root):
    (root / "loop.jpg").symlink_to(root / "loop.jpg")
    (root / "dangling.jpg").symlink_to(root / "nowhere.jpg")
    os.mkfifo(root / "pipe.jpg")
    assert keys(root) == []


@pytest.mark.parametrize("key", ["../secret.jpg", "/etc/passwd", "a/../../secret.jpg", "", ".", "nowhere.jpg", "nul\0.jpg"])
def test_no_key_reaches_outside(root, tmp_path, key):
    write(tmp_path / "secret.jpg")
    with pytest.raises(NotFound):
        FolderCorpus(root).read(key, 100)


def test_a_file_over_the_limit_is_refused(root):
    write(root / "a.jpg", b"x" * 101)
    with pytest.raises(TooLarge, match="100 bytes"):
        FolderCorpus(root).read("a.jpg", 100)
    assert FolderCorpus(root).read("a.jpg", 101) == b"x" * 101


def test_a_corpus_must_be_a_folder(root):
    with pytest.raises(ConfigError, match="not a folder"):
        FolderCorpus(root / "nowhere")


def test_equal_patterns_are_compiled_once():
    """Rules are read anew for each single key."""
    first, again, other = (IgnoreRules([pattern]) for pattern in ("*.tmp", "*.tmp", "*.bak"))
    assert first._ignored is again._ignored
    assert first._ignored is not other._ignored
