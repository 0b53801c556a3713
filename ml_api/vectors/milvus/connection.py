"""Connects to Milvus: the address and credentials, and a pymilvus client that fails at once and reconnects by itself."""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from pymilvus import MilvusClient

RECONNECT_MS = 1000
"""The longest pause between attempts to reconnect; gRPC's default is two minutes."""

IN_THIS_PROCESS = {
    "grpc.keepalive_time_ms": 2**31 - 1,
    "grpc.keepalive_permit_without_calls": 0,
    "grpc.client_idle_timeout_ms": 2**31 - 1,
    "grpc.enable_http_proxy": 0,
}
"""gRPC's options for Milvus Lite. pymilvus pings an idle connection every 10 s; that server treats more than two pings in five
minutes as an attack ("too_many_pings") and closes the connection, so that the first search after half a minute fails. gRPC itself
disconnects after half an hour and connects again, for which the socket's file must still exist: a cleaner of /tmp may delete it."""


@dataclass(frozen=True, slots=True)
class MilvusEndpoint:
    """A Milvus server (`http(s)://host:port`) with its credentials, or a folder of Milvus Lite (a path ending in `.db`)."""

    uri: str
    token: str = field(default="", repr=False)
    database: str = ""
    tls_ca: Path | None = None
    tls_server_name: str = ""

    @property
    def embedded(self) -> bool:
        return "://" not in self.uri

    @property
    def address(self) -> str:
        """The URI for messages, without the password that it may contain."""
        if self.embedded:
            return self.uri
        parts = urlsplit(self.uri)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def connect(endpoint: MilvusEndpoint, uri: str, timeout_s: float) -> MilvusClient:
    """Return a connected client. Raises what pymilvus raises."""
    # It logs every failure with a traceback, in a format of its own; its exceptions are logged once, where requests end.
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
    grpc_options: dict[str, Any] = {"grpc.max_reconnect_backoff_ms": RECONNECT_MS}
    if endpoint.embedded:
        grpc_options |= IN_THIS_PROCESS
    options: dict[str, Any] = {"grpc_options": grpc_options}
    if endpoint.tls_ca is not None:
        options["server_pem_path"] = str(endpoint.tls_ca)
    if endpoint.tls_server_name:
        options["server_name"] = endpoint.tls_server_name
    client = MilvusClient(
        uri=uri,
        token=endpoint.token,
        db_name=endpoint.database,
        timeout=timeout_s,
        # A shared connection outlives its client, and the next client at the same port would get it.
        dedicated=True,
        **options,
    )
    # pymilvus 3.0 reconnects a lost connection under one lock for the whole process, where each running call waits for the timeouts
    # of those before it: with 16 threads and a hung server a search with a timeout of 2 s took 94 s. gRPC reconnects by itself.
    client._handler._on_rpc_error = _fail_at_once  # noqa: SLF001 - there is no public way to switch it off
    return client


def _fail_at_once(error: Exception) -> NoReturn:
    raise error
