"""Atomic writing of files that other processes read, and the reasons why files cannot be read or written."""

import errno
import fcntl
import os
import pwd
import tempfile
from pathlib import Path
from typing import Final

TEMPORARY: Final = "tmp"
"""Prefix of files that are being written; a killed process leaves such a file behind."""
NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What the system says of a disk that is full, of a user's share of it, and of a file over the limit of its size."""
NO_LOCKS: Final = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP})
"""What it says of a lock where the file system has none."""
TAKES_NO_LOCKS: Final = "its disk takes no locks, as some network file systems; keep it on a local disk (ML_API_DATA_DIR)"


def write_whole(path: Path, data: bytes) -> None:
    """Write all of `data` or nothing, readable to this user only; a full disk leaves no partial file. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=TEMPORARY, dir=path.parent)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor is no path
            file.write(data)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def access_problem(path: Path, *whole: Path) -> str:
    """Why this user may not read and write `path`, and what gives them `whole`, of which it is a part; empty if they may."""
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    wanted = os.R_OK | os.W_OK | (os.X_OK if path.is_dir() else 0)
    if os.access(path, wanted, effective_ids=os.access in os.supports_effective_ids):
        return ""
    owner, me, given = user_name(found.st_uid), user_name(os.geteuid()), " ".join(map(str, whole))
    if found.st_uid == os.geteuid():
        return f"{path} may not be read and written by its own user {me}: `chmod -R u+rwX {given}` allows it"
    return (
        f"{path} belongs to {owner}, and {me} may not read and write it: give all to {me} (`sudo chown -R {me} {given}`), "
        f"or run this as {owner}"
    )


def is_read_only(path: Path) -> bool:
    """Whether the path is on a file system that is mounted read-only. `os.access` gives no reason."""
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def locks_are_missing(folder: Path) -> bool:
    """Whether files there cannot be locked, as on a network file system whose server has no lock service."""
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            fcntl.lockf(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        return exc.errno in NO_LOCKS
    return False


def user_name(number: int) -> str:
    """Containers may have users without a name."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"#{number}"  # as sudo takes it
