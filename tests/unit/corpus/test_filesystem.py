"""Any fsspec file system as a corpus: facts in other words, and errors that only its own library knows."""

import asyncio
import errno
from datetime import UTC, datetime

import pytest
from fsspec import AbstractFileSystem
from fsspec.asyn import AsyncFileSystem

from ml_api.corpus.bucket import BucketCorpus
from ml_api.corpus.bucket.filesystem import FilesystemObjects
from ml_api.deadline import Deadline
from ml_api.errors import CorpusReadOnly, CorpusUnavailable, DeadlineExceeded, InsufficientStorage, NotFound

NOW = datetime(2026, 11, 27, tzinfo=UTC)


class OddError(Exception):
    """As google.auth, azure.core and others have them."""


class Odd(AbstractFileSystem):
    """A file system with one file, `a.jpg`, which does what it is told."""

    cachable = False

    def __init__(self, facts=None, bodies=(b"x",), failing=None):
        super().__init__()
        self._info = {"name": "root/a.jpg", "type": "file", "size": 1} | (facts or {})
        self._bodies = list(bodies)
        self._failing = failing

    def ls(self, path, *, detail=True, **kwargs):
        self._fail(path)
        return [self._info] if path == "root" else []

    def info(self, path, **kwargs):
        if path != "root/a.jpg":
            self._fail(path)
            raise FileNotFoundError(path)
        return self._info

    def cat_file(self, path, start=None, end=None, **kwargs):
        self._fail(path)
        return self._bodies.pop(0) if len(self._bodies) > 1 else self._bodies[0]

    def pipe_file(self, path, value, mode="overwrite", **kwargs):
        self._fail(path)

    def rm_file(self, path):
        self._fail(path)

    def _fail(self, path):
        if self._failing is not None and not path.endswith(".mlapiignore"):
            raise self._failing


def corpus(**options):
    return BucketCorpus(FilesystemObjects(Odd(**options), "root", "odd://root"))


@pytest.mark.parametrize(
    ("facts", "version"),
    [
        ({"etag": "0x8D4BCC2E4835CD0"}, "0x8D4BCC2E4835CD0"),
        ({"ETag": '"abc"', "mtime": 5}, "abc"),
        ({"mtime": 5.5}, "1-5.5"),
        ({"last_modified": NOW}, f"1-{NOW.timestamp()}"),
        ({}, "1-"),
    ],
)
def test_the_version_is_the_etag_or_size_and_time(facts, version):
    odd = corpus(facts=facts)
    assert [file.version for file in odd.list()] == [version]
    assert odd.version("a.jpg") == version


def test_an_object_that_is_replaced_while_it_is_read_is_read_again():
    assert corpus(facts={"size": 3}, bodies=(b"to", b"two")).read("a.jpg", 10) == b"two"
    with pytest.raises(CorpusUnavailable, match="its body broke off, or it was replaced"):
        corpus(facts={"size": 3}, bodies=(b"to",)).read("a.jpg", 10)


@pytest.mark.parametrize(
    ("failing", "reading", "writing"),
    [
        (PermissionError("no"), (CorpusUnavailable, "denies access"), (CorpusReadOnly, "takes no writes")),
        (NotImplementedError(), (CorpusUnavailable, "failed: NotImplementedError"), (CorpusReadOnly, "takes no writes")),
        (OSError(errno.ENOSPC, "full"), (CorpusUnavailable, "failed: OSError"), (InsufficientStorage, "no room is left")),
        (OSError(errno.EFBIG, "long"), (CorpusUnavailable, "failed: OSError"), (InsufficientStorage, "no room is left")),
        (TimeoutError(), (CorpusUnavailable, "failed: TimeoutError"), (CorpusUnavailable, "failed: TimeoutError")),
        (OddError("secret"), (CorpusUnavailable, "failed: OddError"), (CorpusUnavailable, "failed: OddError")),
        (FileNotFoundError("gone"), (NotFound, "holds no file 'a.jpg'"), (CorpusUnavailable, "failed: FileNotFoundError")),
    ],
)
def test_what_its_library_raises_becomes_ours(failing, reading, writing):
    odd = corpus(failing=failing)
    for (error, words), ask in (
        (reading, lambda: odd.read("a.jpg", 10)),
        (writing, lambda: odd.write("a.jpg", b"x")),
        (writing, lambda: odd.delete("a.jpg")),
    ):
        with pytest.raises(error) as raised:
            ask()
        assert words in raised.value.detail
        assert "secret" not in raised.value.detail


def test_a_listing_that_fails_is_no_empty_one():
    with pytest.raises(CorpusUnavailable, match="odd://root failed: OddError"):
        list(corpus(failing=OddError()).list())


class Hanging(AsyncFileSystem):
    """As those of clouds are made, and one that never answers."""

    cachable = False

    async def _info(self, path, **kwargs):
        if path != "root/a.jpg":
            raise FileNotFoundError(path)
        return {"name": "root/a.jpg", "type": "file", "size": 1, "etag": "1"}

    async def _cat_file(self, path, start=None, end=None, **kwargs):
        await asyncio.Event().wait()


def test_a_cloud_that_does_not_answer_is_waited_for_until_the_deadline():
    hanging = BucketCorpus(FilesystemObjects(Hanging(), "root", "odd://root"))
    assert hanging.version("a.jpg") == "1"
    with pytest.raises(DeadlineExceeded):
        hanging.read("a.jpg", 10, Deadline.within(0.1))
