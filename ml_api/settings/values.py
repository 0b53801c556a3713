"""Syntax of values in settings, and the existence of paths. Each check raises ValueError with a message for the user."""

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from ml_api.browsers import listed, origins
from ml_api.reverse_proxies import networks
from ml_api.vocabulary import METADATA_ENDINGS


def collection(value: str) -> str:
    """A valid Milvus alias, short enough that the collection's name, which is longer, is valid, too."""
    if not re.fullmatch(r"[A-Za-z_]\w{0,99}", value, re.ASCII):
        raise ValueError("must be a name of 1 to 100 letters (A-Z, a-z), digits and underscores that begins with no digit")
    return value


def database(value: str) -> str:
    if not re.fullmatch(r"\w*", value, re.ASCII):
        raise ValueError("must be a name of letters (A-Z, a-z), digits and underscores")
    return value


def label(value: str) -> str:
    """The name of a deployment or a build."""
    if not re.fullmatch(r"[\w.-]{1,64}", value):
        raise ValueError("must be 1 to 64 letters, digits, dots, hyphens and underscores")
    return value


def hosts(value: str) -> str:
    listed(value)
    return value


def cors_origins(value: str) -> str:
    origins(value)
    return value


def proxies(value: str) -> str:
    networks(value)
    return value


def triton_address(value: str) -> str:
    if value and not re.fullmatch(r"triton://(\[[\da-fA-F:.]+\]|[\w.-]+):\d{1,5}/[\w.-]+", value):
        raise ValueError("must be triton://host:port/name, with Triton's gRPC port (8001 as a rule)")
    return value


def store_address(value: str) -> str:
    scheme, separator, rest = value.partition("://")
    if separator and (scheme not in {"http", "https"} or not rest):
        raise ValueError("must be http://host:port, https://host:port or a local path ending in .db")
    if separator or not value:
        return value
    if not value.endswith(".db"):
        raise ValueError("a local path must end in .db, such as data/milvus.db")
    path = full_path(Path(value))
    return str(real_folder(path.parent) / path.name)


def catalogue(value: str) -> str:
    """A path is made absolute; the file may come later."""
    scheme, separator, rest = value.partition("://")
    if separator and (scheme.lower() not in {"http", "https"} or not rest):
        raise ValueError("must be a path, http://host/… or https://host/…")
    if value and PurePosixPath(urlsplit(value).path if separator else value).suffix not in METADATA_ENDINGS:
        raise ValueError(f"must end in {', '.join(METADATA_ENDINGS[:-1])} or {METADATA_ENDINGS[-1]}")
    return str(full_path(Path(value))) if value and not separator else value


def full_path(path: Path) -> Path:
    """The absolute path, with `~` expanded."""
    try:
        return path.expanduser().absolute()
    except RuntimeError as exc:  # no HOME, or no such user
        raise ValueError(f"{path}: `~` cannot be expanded; write the full path") from exc
    except OSError as exc:
        raise ValueError(f"{path}: the working directory no longer exists; write the full path") from exc


def real_folder(path: Path) -> Path:
    """The full path of a folder that may still have to be made, with links resolved: processes find each other by its name."""
    return Path(os.path.realpath(full_path(path)))  # `Path.resolve` raises for links that lead in a circle


def corpus(value: Path | str) -> Path | str:
    """A URL as it is, or the absolute path of an existing folder, with links resolved."""
    address = str(value)
    scheme, separator, rest = address.partition("://")
    if not separator:
        return folder(Path(address))
    if scheme == "file":
        return folder(Path(unquote(rest)))
    if "::" in address:
        raise ValueError("URLs of several file systems (::) are not supported; name a folder or one URL such as s3://bucket/prefix")
    if not rest.strip("/"):
        raise ValueError(f"names no bucket; write {scheme}://bucket or {scheme}://bucket/prefix")
    if re.match(r"[^/@]*:[^/@]*@", rest):
        raise ValueError("must not hold credentials; the variables of the library that opens it do, such as AWS_SECRET_ACCESS_KEY")
    return address.rstrip("/")


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
