"""Syntax of addresses in settings. Each check raises ValueError with a message for the user."""

import re
from pathlib import Path

from ml_api.browsers import listed
from ml_api.reverse_proxies import networks
from ml_api.settings.conditions import full_path


def hosts(value: str) -> str:
    listed(value)
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
    return str(full_path(Path(value)))
