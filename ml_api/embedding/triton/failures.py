"""What goes wrong between here and Triton, as our errors. The original is chained: it goes to the log, not to clients."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tritonclient.utils import InferenceServerException

from ml_api.errors import MlApiError, ModelOutOfMemory, ModelUnavailable, NonFiniteVector, Overloaded

_OURS: Final = re.compile(r"(?:\[request id: \S*\] )?(model-[a-z-]+|wrong-model): (.*)", re.DOTALL)
"""What `serving` answers with: a code and a text of our own."""
_BY_CODE: Final[dict[str, type[ModelOutOfMemory | NonFiniteVector]]] = {
    kind.code: kind for kind in (ModelOutOfMemory, NonFiniteVector)
}


@contextmanager
def translated(address: str, timeout_s: float) -> Iterator[None]:
    """Raise Overloaded for a full queue, ModelUnavailable for everything else: what we send is no client's fault."""
    try:
        yield
    except InferenceServerException as exc:
        raise _error(exc, f"Triton at {address}", timeout_s) from exc
    except ValueError as exc:
        if "closed channel" in str(exc):  # gRPC's word for a connection that was closed just now
            raise ModelUnavailable("The connection to Triton is closed.") from exc
        raise ModelUnavailable(f"Triton at {address} answered with something that cannot be read.") from exc


def _error(exc: InferenceServerException, triton: str, timeout_s: float) -> MlApiError:
    status, message = str(exc.status()).removeprefix("StatusCode."), str(exc.message())
    if ours := _OURS.match(message):
        code, text = ours.groups()
        return _BY_CODE.get(code, ModelUnavailable)(f"{triton}: {text}")
    if "out of memory" in message.lower():  # as torch and TensorRT say it
        return ModelOutOfMemory(f"{triton} ran out of memory.")
    if "maximum queue size" in message:
        return Overloaded(f"{triton} has too many requests waiting.")
    return ModelUnavailable(f"{triton} {_what(status, message, timeout_s)}.")


def _what(status: str, message: str, timeout_s: float) -> str:
    if status == "DEADLINE_EXCEEDED" or "timeout expired" in message:  # the second is the server's own word, from its queue
        return f"did not answer within {timeout_s:g} s"
    if "unknown model" in message:
        return "does not have the model, or has not loaded it yet"
    return "cannot be reached" if status in {"UNAVAILABLE", "CANCELLED"} else f"failed with gRPC status {status}"
