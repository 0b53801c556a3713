"""Translates exceptions of pymilvus and gRPC to errors of `ml_api.errors`. The original is chained: it goes to the log, not to
clients."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

import grpc
from pymilvus import MilvusException

from ml_api.deadline import Deadline
from ml_api.errors import ConfigError, StoreFailure, StoreUnavailable
from ml_api.files import NO_ROOM
from ml_api.vectors.milvus.connection import MilvusEndpoint

CANNOT_CONNECT = 2
"""pymilvus's own `Status.CONNECT_FAILED`; every other code is Milvus's."""

NO_SPACE = "no space left on its disk"
_NO_SPACE = tuple(os.strerror(number) for number in sorted(NO_ROOM))
"""The system's messages, which Milvus Lite passes on with code 1, its only code."""

CLOCK_TOLERANCE_S = 0.02
"""gRPC counts time in milliseconds: a call that it cancels at a deadline may fail a little before it."""


@contextmanager
def translated(doing: str, timeout_s: float) -> Iterator[None]:
    """Raise StoreUnavailable for every exception of pymilvus: values are checked before, so no input is at fault. `doing` names the
    call in the message."""
    try:
        yield
    except (MilvusException, grpc.RpcError) as exc:
        reason, what = _reason(exc, timeout_s)
        raise StoreUnavailable(f"the vector store {what} ({doing})", reason=reason) from exc
    except ValueError as exc:
        # gRPC's message for a channel that another thread has just closed.
        if "closed channel" not in str(exc):
            raise
        raise StoreUnavailable(f"the vector store is closed ({doing})", reason="closed") from exc


@contextmanager
def cut_off_at(deadline: Deadline | None) -> Iterator[None]:
    """Raise DeadlineExceeded in place of StoreUnavailable if the deadline has passed: the call was cancelled, the store did not
    fail."""
    try:
        yield
    except StoreUnavailable as exc:
        if deadline is not None and perf_counter() >= deadline.at - CLOCK_TOLERANCE_S:
            raise deadline.exceeded() from exc
        raise


def lacks_space(exc: BaseException | None) -> bool:
    return any(words in str(exc) for words in _NO_SPACE)


def original(exc: BaseException) -> str:
    """What was raised first, for clients too, so without paths and values: the system's words or the kind of exception. What
    pymilvus raised first says less than `exc`, to which it was translated."""
    chain = [exc]
    while (cause := chain[-1].__cause__) is not None and cause not in chain:  # pymilvus raises some from themselves
        chain.append(cause)
    first = chain[-1]
    if isinstance(first, MilvusException | grpc.RpcError):
        return str(exc)
    # Arrow's own text of an OSError names the file.
    return os.strerror(first.errno) if isinstance(first, OSError) and first.errno else type(first).__name__


def _reason(exc: Exception, timeout_s: float) -> tuple[StoreFailure, str]:
    """The reason for metrics, and its description for messages."""
    if getattr(exc, "code", None) == CANNOT_CONNECT and isinstance(exc.__cause__, grpc.RpcError):
        exc = exc.__cause__  # pymilvus calls whatever goes wrong while connecting a failure to connect, a refused token too
    code = exc.code() if isinstance(exc, grpc.RpcError) else getattr(exc, "code", None)
    match code:
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return "timeout", f"did not answer within {timeout_s:.3g} s"
        case _ if code in {CANNOT_CONNECT, grpc.StatusCode.UNAVAILABLE}:
            return "unreachable", "cannot be reached"
        case grpc.StatusCode.UNAUTHENTICATED | grpc.StatusCode.PERMISSION_DENIED:
            return "refused", "refuses our token"
        case grpc.StatusCode():
            return "failed", f"failed with gRPC status {code.name}"
        case _ if lacks_space(exc):
            return "failed", f"has {NO_SPACE}"
        case _:
            return "failed", f"failed with Milvus error code {code}"


DATABASE_NOT_FOUND = 800
BAD_TOKEN = 1800
"""Error codes of current servers, from their `pkg/util/merr`."""

_NO_DATABASE = re.compile(r"database\W.*(not found|does not exist)")
"""The message of server 2.3.5 (with code 65535) and of Milvus Lite."""


@contextmanager
def startup_failures(endpoint: MilvusEndpoint, timeout_s: float) -> Iterator[None]:
    """As `translated`, for errors at startup: messages name the server, and wrong settings raise ConfigError."""
    try:
        with translated("opening the collection", timeout_s):
            yield
    except StoreUnavailable as unavailable:
        cause = unavailable.__cause__
        code = getattr(cause, "code", None)
        if code == DATABASE_NOT_FOUND or _NO_DATABASE.search(str(cause)):
            raise ConfigError(
                f"there is no database {endpoint.database!r} on {endpoint.address} (ML_API_MILVUS_DATABASE)"
            ) from cause
        if code == BAD_TOKEN or unavailable.reason == "refused":
            raise ConfigError(f"{endpoint.address} refuses the token in ML_API_MILVUS_TOKEN") from cause
        raise StoreUnavailable(f"{endpoint.address}: {unavailable.detail}", reason=unavailable.reason) from cause
