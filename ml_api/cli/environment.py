"""Environment variables of libraries, set before the libraries are loaded. Variables that the operator has set are kept."""

import os
import pwd
from collections.abc import MutableMapping
from typing import Final

THIS_MACHINE: Final = ("localhost", "127.0.0.1", "::1")


def configure_libraries(environ: MutableMapping[str, str], usable_cores: int) -> None:
    """For a process that runs the model, serves and calls stores."""
    environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC writes to stderr in its own format; its errors are raised anyway
    give_a_home(environ)
    configure_openmp(environ, usable_cores)
    configure_openblas(environ)
    keep_this_machine_out(environ)


def give_a_home(environ: MutableMapping[str, str]) -> None:
    """For a user whom the system does not know, as in containers with a user id of their own: without a home, the hub's cache
    would lie in a folder called `~` where the command was started. Docker gives them the same."""
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        environ.setdefault("HOME", "/")


def configure_openmp(environ: MutableMapping[str, str], usable_cores: int) -> None:
    """For forward passes by PyTorch beside requests."""
    # By default OpenMP's threads spin between parallel steps, on cores that requests need.
    environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Spinning for a few microseconds is cheaper than waking a thread.
    environ.setdefault("GOMP_SPINCOUNT", "1000")
    # By default OpenMP uses all cores of the host, whatever the quota; more threads than quota stall each other.
    environ.setdefault("OMP_NUM_THREADS", str(usable_cores))


def configure_openblas(environ: MutableMapping[str, str]) -> None:
    """For products of vectors by NumPy, in many requests at once."""
    # By default OpenBLAS divides each among all cores, and one waits for the other's parts (docs/decisions/0014-exact-search.md).
    environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def keep_this_machine_out(environ: MutableMapping[str, str]) -> None:
    """Add loopback to `no_proxy`, so that proxies (`http_proxy`, `https_proxy`, `grpc_proxy`, ...) are not used for this machine.

    gRPC (Milvus, Triton), requests (OpenTelemetry, the hub) and urllib use a proxy even for 127.0.0.1, where it is another
    machine. gRPC reads the variable in lower case only.
    """
    given = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    names = [name for name in (part.strip() for part in given.split(",")) if name]
    if "*" not in names:
        environ["no_proxy"] = ",".join(dict.fromkeys([*names, *THIS_MACHINE]))
