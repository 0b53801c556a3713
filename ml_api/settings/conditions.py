"""Checks of what a command needs from the machine: writable folders, free ports.

Each raises ValueError with a message for the user.
"""

import os
import shutil
import socket
from pathlib import Path

from pydantic import ValidationInfo, field_validator

from ml_api.errors import ConfigError
from ml_api.files import is_read_only
from ml_api.ports import family_of, listen
from ml_api.settings.model import Settings

LEAST_FREE_BYTES = 2**20
"""An embedded store needs at least this to open."""


class SettingsOfCommand(Settings):
    """Settings with which a command can run here. The validation's context names it: `{"command": "serve"}` or `"sync"`.

    The checks belong to single fields, so that one run reports every problem.
    """

    @field_validator("corpus")
    @classmethod
    def _corpus_is_named(cls, value: Path | str | None) -> Path | str | None:
        if value is None:
            raise ValueError("name the folder of images")
        return value

    @field_validator("watch")
    @classmethod
    def _a_folder_can_be_watched(cls, value: bool, info: ValidationInfo) -> bool:  # noqa: FBT001 - as pydantic calls it
        if value and _serves(info) and isinstance(info.data.get("corpus"), str):
            raise ValueError(
                "follows folders, and the corpus is a bucket: have the bucket send its notifications to POST /v1/events, "
                "as docs/changes.md shows"
            )
        return value

    @field_validator("milvus_uri")
    @classmethod
    def _store_can_be_kept(cls, value: str) -> str:
        if value.endswith(".db"):
            require_writable(Path(value).parent)
        return value

    @field_validator("data_dir")
    @classmethod
    def _data_can_be_kept(cls, value: Path, info: ValidationInfo) -> Path:
        """A service without an embedded store keeps only disposable files there, so that it need not be writable."""
        holds_store = info.data.get("milvus_uri") == ""
        if holds_store or not _serves(info):
            require_writable(value)
        return value

    @field_validator("host")
    @classmethod
    def _host_is_an_address_of_this_machine(cls, value: str, info: ValidationInfo) -> str:
        if _serves(info):
            require_address(value)
        return value

    @field_validator("port", "metrics_port")
    @classmethod
    def _port_is_free(cls, value: int, info: ValidationInfo) -> int:
        if _serves(info) and "host" in info.data:
            require_free_port(info.data["host"], value)
        return value


def _serves(info: ValidationInfo) -> bool:
    assert info.context is not None, "which command?"
    return bool(info.context["command"] == "serve")


def require_writable(folder: Path) -> None:
    """Check that `folder` can be written, or created and written."""
    there = next(parent for parent in (folder, *folder.parents) if _exists(parent))
    if not there.is_dir():
        raise ValueError(f"{there} is not a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        problem = "cannot be written" if there == folder else f"cannot be made, as {there} cannot be written"
        raise ValueError(f"{folder} {problem}{': the disk is mounted read-only' if is_read_only(there) else ''}")
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
        with socket.socket(family_of(host)) as probe:
            probe.bind((host, 0))
    except OSError as exc:
        raise ValueError(f"{host} is no address of this machine: {exc.strerror}") from exc


def require_free_port(host: str, port: int) -> None:
    try:
        listen(host, port).close()
    except ConfigError as exc:
        raise ValueError(exc.detail) from exc
    except OSError:
        pass  # a problem with the host itself is reported for the host
