"""Calls Triton over one gRPC connection, which fails at once if the server is away, and reconnects by itself.

Errors of gRPC and of the server are translated to those of `ml_api.errors`, with the original chained: it goes to the log, not to
clients.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import urlsplit

from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput, InferResult, service_pb2
from tritonclient.utils import InferenceServerException

from ml_api.embedding.base import Prepared
from ml_api.embedding.triton import wire
from ml_api.errors import MlApiError, ModelOutOfMemory, ModelUnavailable, NonFiniteVector, Overloaded
from ml_api.vocabulary import Modality

HANDSHAKE_TIMEOUT_S: Final = 5.0
CHANNEL: Final = [
    ("grpc.max_send_message_length", -1),  # 64 images of 336 x 336 pixels are 87 MB, and gRPC's default is 4 MB
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_reconnect_backoff_ms", 1000),  # the longest pause between attempts; gRPC's default is two minutes
    # After 10 s without an answer, gRPC pings the server, so that a lost host is noticed 5 s later, and not after TCP's quarter of
    # an hour. At most two pings a call (gRPC's default): Triton would treat a third as an attack.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
]
_DATATYPES: Final = {"int64": "INT64", "float32": "FP32"}
_REPORTED: Final = re.compile(r"(?:\[request id: \S*\] )?(model-[a-z-]+|wrong-model): (.*)", re.DOTALL)
"""An error that `serving` answers with: a code and a text of this service."""
_BY_CODE: Final[dict[str, type[ModelOutOfMemory | NonFiniteVector]]] = {
    kind.code: kind for kind in (ModelOutOfMemory, NonFiniteVector)
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A CLIP on a Triton server."""

    address: str
    """`host:port`, the port of gRPC."""
    name: str

    @classmethod
    def of(cls, url: str) -> Self:
        """The endpoint of `triton://host:port/model`, which the settings have checked."""
        parts = urlsplit(url)
        return cls(parts.netloc, parts.path.removeprefix("/"))


class Connection:
    """A client of one endpoint. Thread-safe. Every call raises ModelUnavailable or Overloaded."""

    def __init__(self, endpoint: Endpoint, timeout_s: float) -> None:
        """Does not connect yet. An inference that takes longer than `timeout_s` fails."""
        self._endpoint = endpoint
        self._timeout_s = timeout_s
        self._client = InferenceServerClient(endpoint.address, channel_args=CHANNEL)

    def config(self, modality: Modality) -> Any:
        """The `ModelConfig` message of the model."""
        name = wire.model_name(self._endpoint.name, modality)
        with translated(self._endpoint.address, HANDSHAKE_TIMEOUT_S):
            response: service_pb2.ModelConfigResponse = self._client.get_model_config(name, client_timeout=HANDSHAKE_TIMEOUT_S)
        return response.config

    def infer(self, items: Sequence[Prepared], model_id: str, *outputs: str) -> dict[str, Any]:
        """Run one pass over `items`; return the arrays named in `outputs`, None for one that the server did not send."""
        inputs = []
        for name, array in wire.to_arrays(items).items():
            tensor = InferInput(name, list(array.shape), _DATATYPES[str(array.dtype)])
            inputs.append(tensor.set_data_from_numpy(array))
        with translated(self._endpoint.address, self._timeout_s):
            answer: InferResult = self._client.infer(
                wire.model_name(self._endpoint.name, items[0].modality),
                inputs,
                outputs=[InferRequestedOutput(name) for name in outputs],
                client_timeout=self._timeout_s,
                parameters={wire.MODEL_ID: model_id},
            )
            return {name: answer.as_numpy(name) for name in outputs}

    def close(self) -> None:
        self._client.close()


@contextmanager
def translated(address: str, timeout_s: float) -> Iterator[None]:
    """Raise Overloaded for a full queue, ModelUnavailable for everything else: no client is to blame for what the service sends."""
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
    if reported := _REPORTED.match(message):
        code, text = reported.groups()
        return _BY_CODE.get(code, ModelUnavailable)(f"{triton}: {text}")
    if "out of memory" in message.lower():  # as torch and TensorRT say it
        return ModelOutOfMemory(f"{triton} ran out of memory.")
    if "maximum queue size" in message:
        return Overloaded(f"{triton} has too many requests waiting.")
    return ModelUnavailable(f"{triton} {_what(status, message, timeout_s)}.")


def _what(status: str, message: str, timeout_s: float) -> str:
    if status == "DEADLINE_EXCEEDED" or "timeout expired" in message:  # the second is from the server's queue
        return f"did not answer within {timeout_s:g} s"
    if "unknown model" in message:
        return "does not have the model, or has not loaded it yet"
    return "cannot be reached" if status in {"UNAVAILABLE", "CANCELLED"} else f"failed with gRPC status {status}"
