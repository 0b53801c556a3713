"""Milvus Lite's server, in this process and for this user alone.

It knows no passwords. On the TCP port of 127.0.0.1 that pymilvus would start it on, every user of the machine reads and drops
collections; on a socket in a folder of mode 0700 the system lets in its owner only, and no proxy of the environment stands between.
"""

import re
import shutil
import socket
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from milvus_lite.adapter.grpc.server import start_server_in_thread

from ml_api.errors import ConfigError

PREFIX: Final = "ml-api-"
_SOCKET: Final = "milvus"
_STOP_S: Final = 2.0
_PLAIN: Final = re.compile(r"[\w./-]+", re.ASCII)
"""gRPC reads `unix:` addresses as URIs, in which other characters may mean something."""


class LiteServer:
    """Serves the Milvus Lite folder `path` at `uri` until it is stopped. Raises ConfigError without a place for its socket."""

    def __init__(self, path: Path) -> None:
        self.folder = _private_folder()
        try:
            # It listens at "{host}:{port}", so that the socket is called "milvus:0".
            self._server, self._database, _ = start_server_in_thread(str(path), host=f"unix:{self.folder / _SOCKET}", port=0)
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    @property
    def uri(self) -> str:
        return f"unix:{self.folder / _SOCKET}:0"

    def stop(self) -> None:
        """Flushes. Nobody may call any more."""
        self._server.stop(grace=_STOP_S).wait()
        self._database.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def remove_left_behind(folder: Path) -> None:
    """Of a process that was killed. Nothing but what may be such a folder is touched, whoever named it."""
    if folder.name.startswith(PREFIX):
        with suppress(OSError):
            (folder / f"{_SOCKET}:0").unlink(missing_ok=True)
            folder.rmdir()


def _private_folder() -> Path:
    """A new one (0700) in which a socket can be: not every file system takes them, and their paths have at most 107 bytes.

    So not beside the store, and `TMPDIR` where that is short enough.
    """
    for parent in (tempfile.gettempdir(), "/tmp", "/var/tmp"):  # noqa: S108 - mkdtemp is safe there
        if _PLAIN.fullmatch(parent):
            with suppress(OSError):
                folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
                if _takes_sockets(folder):
                    return folder
                folder.rmdir()
    raise ConfigError(
        "the embedded store finds no folder for its socket: set TMPDIR to one that can be written and whose path is short"
    )


def _takes_sockets(folder: Path) -> bool:
    path = folder / f"{_SOCKET}:0"
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.bind(str(path))
        except OSError:
            return False
    path.unlink()
    return True
