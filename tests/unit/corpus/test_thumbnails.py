"""ThumbnailCache on disk: bounded, pruned, and without a trace of what could not be written."""

import logging
import os
import resource
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from ml_api.corpus.thumbnails import ThumbnailCache

SIZE = 30_000
"""Of a preview, as photographs make them."""


class Clock:
    def __init__(self):
        self.now = 1_700_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "thumbnails"


def digest_of(number):
    return f"{number:02x}" * 32


def put(thumbnails, clock, *numbers):
    """A second passes after each, as files are told apart by it."""
    for number in numbers:
        thumbnails.put(digest_of(number), bytes([number]) * SIZE)
        for path in thumbnails._folder.glob(f"*/{digest_of(number)}*"):
            os.utime(path, (clock.now, clock.now))
        clock.now += 1


def kept(thumbnails, numbers):
    return [number for number in numbers if thumbnails.get(digest_of(number)) == bytes([number]) * SIZE]


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


@contextmanager
def file_size_limit(size):
    """No file may grow beyond `size`, as on a full disk, for whoever runs the tests."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_was_put_is_kept_across_processes(folder, clock):
    put(ThumbnailCache(folder, 10 * SIZE), clock, 1, 2)
    assert kept(ThumbnailCache(folder, 10 * SIZE), [1, 2, 3]) == [1, 2]


def test_it_never_outgrows_its_bound_and_the_longest_unused_go_first(folder, clock):
    thumbnails = ThumbnailCache(folder, 10 * SIZE, clock)
    for number in range(50):
        put(thumbnails, clock, number)
        assert sum(path.stat().st_size for path in files(folder)) <= 10 * SIZE
    assert kept(thumbnails, range(50)) == list(range(50))[-len(files(folder)) :]
    assert len(files(folder)) >= 9


def test_what_is_read_stays(folder, clock):
    thumbnails = ThumbnailCache(folder, 10 * SIZE, clock)
    put(thumbnails, clock, *range(9))
    clock.now += 4000
    assert thumbnails.get(digest_of(0)) is not None
    put(thumbnails, clock, *range(20, 26))
    assert kept(thumbnails, [0]) == [0]
    assert kept(thumbnails, range(1, 5)) == []


def test_what_an_earlier_process_kept_counts(folder, clock):
    put(ThumbnailCache(folder, 100 * SIZE, clock), clock, *range(40))
    put(ThumbnailCache(folder, 10 * SIZE, clock), clock, 50)
    assert sum(path.stat().st_size for path in files(folder)) <= 10 * SIZE


def test_no_room_at_all_keeps_nothing(folder, clock):
    thumbnails = ThumbnailCache(folder, 0, clock)
    put(thumbnails, clock, 1)
    assert files(folder) == []


def test_thumbnails_of_pictures_that_are_gone_are_pruned(folder, clock):
    thumbnails = ThumbnailCache(folder, 10 * SIZE, clock)
    put(thumbnails, clock, *range(5))
    assert thumbnails.prune(digest_of(number) for number in (1, 3, 77)) == 3
    assert kept(thumbnails, range(5)) == [1, 3]
    assert thumbnails.prune(digest_of(number) for number in (1, 3)) == 0


def test_where_nothing_is_kept_nobody_is_asked_for_digests(folder):
    def digests():
        pytest.fail("the whole index was read for nothing")
        yield ""

    assert ThumbnailCache(folder, SIZE).prune(digests()) == 0


def test_what_a_killed_process_left_is_removed_and_what_is_being_written_is_not(folder, clock):
    thumbnails = ThumbnailCache(folder, 10 * SIZE, clock)
    put(thumbnails, clock, 0xAB)
    old, new = folder / "ab" / "tmpold00000", folder / "ab" / "tmpnew00000"
    for path, age_s in ((old, 7200), (new, 5)):
        path.touch()
        os.utime(path, (clock.now - age_s,) * 2)
    thumbnails.prune([digest_of(0xAB)])
    assert files(folder) == sorted([next(folder.glob("ab/*.webp")), new])


def test_a_file_that_lost_its_content_is_drawn_again(folder, clock):
    thumbnails = ThumbnailCache(folder, 10 * SIZE, clock)
    put(thumbnails, clock, 1)
    files(folder)[0].write_bytes(b"")
    assert thumbnails.get(digest_of(1)) is None


def test_a_full_disk_leaves_no_file_and_one_line_in_ten_minutes(folder, clock, caplog):
    thumbnails = ThumbnailCache(folder, 100 * SIZE, clock)
    put(thumbnails, clock, 99)
    with caplog.at_level(logging.WARNING), file_size_limit(SIZE // 2):
        put(thumbnails, clock, *range(30))
        assert [record.getMessage() for record in caplog.records] == [
            f"thumbnails cannot be cached in {folder} and are made for each request: File too large"
        ]
        clock.now += 601
        put(thumbnails, clock, *range(30))
        assert len(caplog.records) == 2
    assert [path.stat().st_size for path in files(folder)] == [SIZE]
    put(thumbnails, clock, 1)
    assert kept(thumbnails, [1, 99]) == [1, 99]


def test_a_file_system_without_space_leaves_no_file(tmp_path, clock, caplog):
    """A real one: 256 KB of memory, where this user may mount it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a file system; the test above limits the size of files")
    try:
        thumbnails = ThumbnailCache(disk / "thumbnails", 100 * SIZE, clock)
        put(thumbnails, clock, *range(60))
        held = files(disk / "thumbnails")
        assert 4 <= len(held) <= 8
        assert all(path.suffix == ".webp" and path.stat().st_size == SIZE for path in held)
        assert [record.getMessage().rpartition(": ")[2] for record in caplog.records] == ["No space left on device"]
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_folder_that_cannot_be_made_costs_nothing_but_speed(tmp_path, clock):
    (tmp_path / "file").touch()
    thumbnails = ThumbnailCache(tmp_path / "file" / "thumbnails", 10 * SIZE, clock)
    put(thumbnails, clock, 1)
    assert thumbnails.get(digest_of(1)) is None
    assert thumbnails.prune([]) == 0


def test_many_threads_keep_the_bound(folder):
    thumbnails = ThumbnailCache(folder, 20 * SIZE)
    start = threading.Barrier(8)

    def work(worker):
        start.wait()
        for number in range(worker, 200, 8):
            thumbnails.put(digest_of(number), bytes([number]) * SIZE)
            thumbnails.get(digest_of(number))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    thumbnails.put(digest_of(201), bytes([201]) * SIZE)
    assert sum(path.stat().st_size for path in files(folder)) <= 20 * SIZE
    assert not [path for path in files(folder) if path.suffix != ".webp"]
