"""What the environment's proxies (`http_proxy`, `https_proxy`, `grpc_proxy`, ...) are not asked for: this machine itself."""

from collections.abc import MutableMapping
from typing import Final

THIS_MACHINE: Final = ("localhost", "127.0.0.1", "::1")


def keep_this_machine_out(environ: MutableMapping[str, str]) -> None:
    """Add loopback to `no_proxy`, before any library reads it.

    gRPC (Milvus, Triton), requests (OpenTelemetry, the hub) and urllib ask a proxy even for 127.0.0.1, which is
    another machine there. gRPC knows the name in lower case only.
    """
    given = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    names = [name for name in (part.strip() for part in given.split(",")) if name]
    if "*" not in names:
        environ["no_proxy"] = ",".join(dict.fromkeys([*names, *THIS_MACHINE]))
