"""What libraries read in the environment when they are loaded, said before they are. What the operator has set is left alone."""

from collections.abc import MutableMapping
from typing import Final

THIS_MACHINE: Final = ("localhost", "127.0.0.1", "::1")


def configure_libraries(environ: MutableMapping[str, str], usable_cores: int) -> None:
    """For a process that computes, serves and calls stores."""
    environ.setdefault("GRPC_VERBOSITY", "NONE")  # it writes past our log, in a format of its own; its errors reach us anyway
    configure_openmp(environ, usable_cores)
    keep_this_machine_out(environ)


def configure_openmp(environ: MutableMapping[str, str], usable_cores: int) -> None:
    """For torch's passes, where it computes, beside requests."""
    # At the end of each parallel step its threads spin, waiting for the next: on a core that a request could decode an image on.
    environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # A few microseconds of it are less than it takes to wake a thread.
    environ.setdefault("GOMP_SPINCOUNT", "1000")
    # Of its own it takes the host's cores and knows no quota: more threads than quota stall each other.
    environ.setdefault("OMP_NUM_THREADS", str(usable_cores))


def keep_this_machine_out(environ: MutableMapping[str, str]) -> None:
    """Add loopback to `no_proxy`: of proxies (`http_proxy`, `https_proxy`, `grpc_proxy`, ...) this machine is not asked for.

    gRPC (Milvus, Triton), requests (OpenTelemetry, the hub) and urllib ask a proxy even for 127.0.0.1, which is
    another machine there. gRPC knows the name in lower case only.
    """
    given = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    names = [name for name in (part.strip() for part in given.split(",")) if name]
    if "*" not in names:
        environ["no_proxy"] = ",".join(dict.fromkeys([*names, *THIS_MACHINE]))
