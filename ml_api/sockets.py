"""Where the sockets of this machine's own processes lie: their paths have at most 107 bytes, and `TMPDIR` may be longer."""

import os
import tempfile
import threading
from multiprocessing import util
from typing import Final

from ml_api.errors import ConfigError

_MAX_BYTES: Final = 107
"""Of a path, without the zero byte that ends it: unix(7)."""
_placing = threading.Lock()


def parents(longest: str) -> list[str]:
    """Return the folders in which a path of the form of `longest` is short enough, the one to prefer first."""
    return [
        parent
        for parent in (tempfile.gettempdir(), "/tmp", "/var/tmp")  # noqa: S108 - what is made there is made by mkdtemp
        if len(os.fsencode(f"{parent}/{longest}")) <= _MAX_BYTES
    ]


def place_fork_server() -> None:
    """Let `multiprocessing` make its folder, once, where its fork server's socket can lie. Python 3.14 does so by itself.

    Raises ConfigError if there is no such folder.
    """
    with _placing:
        before = tempfile.tempdir
        for parent in parents("pymp-12345678/listener-12345678"):
            tempfile.tempdir = parent
            try:
                util.get_temp_dir()
            except OSError:
                continue
            finally:
                tempfile.tempdir = before
            return
    raise ConfigError(
        "decoding processes find no folder for their socket: set TMPDIR to one that can be written and whose path is short"
    )
