"""Checks of what a setting needs from the machine. Each raises ValueError with a message for the user."""

import errno
import os
import shutil
import socket
import stat
import sys
from collections.abc import Callable
from pathlib import Path

LEAST_FREE_BYTES = 2**20
"""An embedded store needs at least this to open."""


def full_path(path: Path) -> Path:
    """The absolute path, with `~` expanded."""
    try:
        return path.expanduser().absolute()
    except RuntimeError as exc:  # no HOME, or no such user
        raise ValueError(f"{path}: whose home folder `~` is cannot be told; write the path out") from exc
    except OSError as exc:
        raise ValueError(f"{path}: the working directory is gone; write the path out") from exc


def folder(path: Path) -> Path:
    """The absolute path of an existing folder, with links resolved."""
    return _there(path, stat.S_ISDIR, "a folder").resolve()


def file(path: Path) -> Path:
    """The absolute path of an existing file."""
    return _there(path, stat.S_ISREG, "a file")


def _there(path: Path, fits: Callable[[int], bool], what: str) -> Path:
    full = full_path(path)
    try:
        if fits(full.stat().st_mode):
            return full
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(f"{path} is not {what}: there is no {full}") from None
    except OSError as exc:
        raise ValueError(f"{path} cannot be looked at: {exc.strerror}") from exc
    raise ValueError(f"{path} is not {what}")


def require_writable(folder: Path) -> None:
    """Check that `folder` can be written, or created and written."""
    there = next(parent for parent in (folder, *folder.parents) if _exists(parent))
    if not there.is_dir():
        raise ValueError(f"{there} is not a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        problem = "cannot be written" if there == folder else f"cannot be made, as {there} cannot be written"
        raise ValueError(f"{folder} {problem}")
    disk = shutil.disk_usage(there)
    if disk.free < LEAST_FREE_BYTES and disk.total:  # some network file systems report 0
        raise ValueError(f"no space is left for {folder} ({disk.free // 1024} KB)")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # in a folder without search permission
        return False


def require_address(host: str) -> None:
    try:
        with socket.socket(_family(host)) as probe:
            probe.bind((host, 0))
    except OSError as exc:
        raise ValueError(f"{host} is no address of this machine: {exc.strerror}") from exc


def require_free_port(host: str, port: int) -> None:
    try:
        socket.create_server((host, port), family=_family(host)).close()
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            raise ValueError(f"port {port} of {host} is in use, {_holder(port)}; choose another") from exc
        if exc.errno == errno.EACCES:
            raise ValueError(f"port {port} may not be used without special rights; choose one from 1024 on") from exc
        # Problems with the host itself are reported for the host.


def _holder(port: int) -> str:
    """The likely holder of a port: usually another instance."""
    if sys.platform == "darwin":
        who = "the AirPlay receiver" if port in {5000, 7000} else "another instance of this service"
        return f"perhaps by {who} (`lsof -nP -iTCP:{port}` tells)"
    return f"perhaps by another instance of this service (`ss -ltnp sport = :{port}` tells)"


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
