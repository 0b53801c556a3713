"""Who owns a Milvus Lite folder: one user, and one of that user's processes, which the file beside the folder names."""

import fcntl
import os
from pathlib import Path

from ml_api.errors import ConfigError
from ml_api.vectors.milvus.lite import remove_left_behind


def make_private(path: Path) -> None:
    """The folder is the store's own; what it lies in may be anybody's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)
    if path.stat().st_uid == os.geteuid():
        path.chmod(0o700)


def lock_path(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def lock(path: Path) -> int:
    """A lock that the system takes back when the process dies, however it dies. The file says who holds it; it is never deleted."""
    descriptor = os.open(lock_path(path), os.O_RDWR | os.O_CREAT, 0o600)
    holder, _, socket_folder = os.pread(descriptor, 1024, 0).decode(errors="replace").strip().partition("\n")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise ConfigError(
            f"{path} is in use by process {holder or '?'}, and Milvus Lite serves one process only. Stop that process, or run "
            "a Milvus server and set ML_API_MILVUS_URI=http://host:19530"
        ) from None
    remove_left_behind(Path(socket_folder))
    write_holder(descriptor)
    return descriptor


def write_holder(lock_file: int, socket_folder: Path | str = "") -> None:
    os.ftruncate(lock_file, 0)
    os.pwrite(lock_file, f"{os.getpid()}\n{socket_folder}\n".encode(), 0)
