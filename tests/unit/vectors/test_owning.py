"""Whose files an embedded store may be: those of the user who opens it."""

import errno
import fcntl
import logging
import os
import re

import pytest

from ml_api.errors import ConfigError
from ml_api.files import TAKES_NO_LOCKS
from ml_api.vectors.milvus.embedded.access import EmbeddedAccess
from tests.unprivileged import NO_REPORT, open_folder, without_privileges

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")


@pytest.fixture
def folder():
    """Of another user's, for root."""
    with open_folder() as folder:
        yield folder


def store_in(folder, owner):
    """As Milvus Lite leaves one, as far as rights go."""
    store = folder / "milvus.db"
    (store / "collections" / "images").mkdir(parents=True)
    (store / "collections" / "images" / "manifest.json").write_text("{}")
    store.with_name("milvus.db.lock").write_text("1\n")
    give(folder, owner)
    return store


def give(folder, owner):
    if os.geteuid() == 0:
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, owner, owner)


def refusal(store):
    with pytest.raises(ConfigError) as refused:
        EmbeddedAccess(str(store), timeout_s=1).open()
    return refused.value.detail


@needs_root
@pytest.mark.parametrize("left", ["milvus.db/collections/images/manifest.json", "milvus.db/collections", "milvus.db.lock"])
def test_a_file_that_root_left_is_named_with_its_owner_and_the_way_out(folder, left):
    store = store_in(folder, NO_REPORT)
    (folder / left).chmod(0o600)
    os.chown(folder / left, 0, 0)
    with without_privileges():
        said = refusal(store)
    assert said == (
        f"{folder / left} belongs to root, and nobody may not read and write it: give all to nobody "
        f"(`sudo chown -R nobody {store} {store}.lock`), or run this as root"
    )


def test_a_file_of_ones_own_without_rights_is_named(folder):
    store = store_in(folder, NO_REPORT)
    file = store / "collections" / "images" / "manifest.json"
    file.chmod(0)
    with without_privileges():
        assert re.fullmatch(
            f"{file} may not be read and written by its own user .*: `chmod -R u.rwX {store} .* allows it", refusal(store)
        )


@needs_root
def test_root_does_not_write_into_the_store_of_another_user(folder):
    store = store_in(folder, NO_REPORT)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert refusal(store) == (
        f"{store} belongs to nobody, who could not read what root writes there: run this as that user (`sudo -u nobody`), "
        f"or, if root is to keep it, `chown -R root {store} {store}.lock`"
    )
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


@needs_root
def test_root_is_warned_before_it_makes_a_store_in_the_folder_of_another_user(folder, caplog):
    """And no more: containers run as root over folders of the host's users."""
    access = EmbeddedAccess(str(folder / "milvus.db"), timeout_s=1)
    with caplog.at_level(logging.WARNING, "ml_api"):
        access.open()
    access.close(lambda: None)
    [warning] = [record.getMessage() for record in caplog.records]
    assert warning.startswith(f"{folder} belongs to nobody, and what is made there now will be root's")


def test_a_folder_that_cannot_be_made_is_told_with_its_setting():
    assert "choose another ML_API_DATA_DIR" in refusal("/proc/x/milvus.db")


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP], ids=["no lock service", "not supported"])
def test_a_disk_without_locks_is_told_from_a_store_in_use(number, tmp_path, monkeypatch):
    """As on NFS without its lock service: it was "in use by process ?"."""

    def refused(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refused)
    told = refusal(tmp_path / "milvus.db")
    assert told == f"the vector store cannot be kept in {tmp_path / 'milvus.db'}: {TAKES_NO_LOCKS}"
