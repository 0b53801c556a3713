"""Ensures that a Milvus Lite folder has one owner: one user, and one process of that user, which a lock file beside it names."""

import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from ml_api.errors import ConfigError
from ml_api.files import NO_LOCKS, TAKES_NO_LOCKS, access_problem, user_name

_log = logging.getLogger(__name__)


def require_same_user(path: Path) -> None:
    """Raise ConfigError before anything is written that the owner of this store could not read.

    Root may write anywhere, and its files belong to root. A new store in another user's folder is allowed, with a warning: a
    container may run as root over a volume that belongs to a user of the host.
    """
    _require_access(lock_path(path), path)
    if os.geteuid() != 0:
        return
    if path.exists() and (owner := path.stat().st_uid):
        name = user_name(owner)
        raise ConfigError(
            f"{path} belongs to {name}, who could not read what root writes there: run this as that user (`sudo -u {name}`), "
            f"or, if root is to keep it, `chown -R root {path} {lock_path(path)}`"
        )
    if not path.exists() and path.parent.exists() and (owner := path.parent.stat().st_uid):
        name = user_name(owner)
        _log.warning(
            "%s belongs to %s, and what is made there now will be root's: a service that runs as %s cannot read it "
            "(run this with `sudo -u %s` then)",
            *(path.parent, name, name, name),
        )


def require_access(path: Path) -> None:
    """Raise ConfigError that names the first of the store's files that this user cannot read and write. Call it with the lock
    held."""
    for inside in _all(path):
        _require_access(inside, path)


def _all(path: Path) -> Iterator[Path]:
    yield path
    for folder, folders, files in os.walk(path):
        yield from (Path(folder, name) for name in sorted(folders) + sorted(files))


def _require_access(path: Path, store: Path) -> None:
    if problem := access_problem(path, store, lock_path(store)):
        raise ConfigError(problem)


def make_private(path: Path) -> None:
    """Create the store's folder, readable by its owner only; the folders above keep their modes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)
    if path.stat().st_uid == os.geteuid():
        path.chmod(0o700)


def lock_path(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def lock(path: Path) -> int:
    """Take the lock of a store, which the system releases when the process dies; returns its descriptor. The lock file names the
    holder, and is never deleted. Raises ConfigError if another process has it."""
    descriptor = os.open(lock_path(path), os.O_RDWR | os.O_CREAT, 0o600)
    holder = os.pread(descriptor, 1024, 0).decode(errors="replace").partition("\n")[0].strip()
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        os.close(descriptor)
        if exc.errno in NO_LOCKS:
            raise ConfigError(f"the vector store cannot be kept in {path}: {TAKES_NO_LOCKS}") from exc
        raise ConfigError(
            f"{path} is in use by process {holder or '?'}, and Milvus Lite serves one process only. Stop that process, or run "
            "a Milvus server and set ML_API_MILVUS_URI=http://host:19530"
        ) from None
    write_holder(descriptor)
    return descriptor


def write_holder(lock_file: int, socket_folder: Path | str = "") -> None:
    os.ftruncate(lock_file, 0)
    os.pwrite(lock_file, f"{os.getpid()}\n{socket_folder}\n".encode(), 0)
