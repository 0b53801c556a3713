"""Serves a CLIP inside Triton, in a process of its Python backend: this file is the `model.py` of a written repository.

It adapts Triton's requests to the ClipEncoder that embeds in process elsewhere, which is copied beside it with the weights.
Tensors are passed by DLPack: Triton's own conversion (24.10) was built for numpy 1, and gives empty answers with numpy 2.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as backend

from ml_api.embedding.base import Encoder, Prepared
from ml_api.embedding.splitting import embed_apart
from ml_api.embedding.triton import wire
from ml_api.errors import MlApiError
from ml_api.records import Vectors


class TritonPythonModel:
    """The class that Triton's Python backend looks for by this name. There is one instance for each process and device; one thread
    calls `execute`."""

    def initialize(self, args: dict[str, str]) -> None:
        # Imported here, as Triton imports this file a first time only to inspect it.
        import torch

        from ml_api.embedding.clip import ClipEncoder
        from ml_api.embedding.pretrained import PretrainedModel

        config = json.loads(args["model_config"])
        parameters = {name: value["string_value"] for name, value in config["parameters"].items()}
        embedding = next(output for output in config["output"] if output["name"] == wire.EMBEDDING)
        self._inputs = [tensor["name"] for tensor in config["input"]]
        self._model_id = parameters[wire.MODEL_ID]
        name, _, revision = self._model_id.rpartition("@")
        here, dim = Path(__file__).parent, int(embedding["dims"][0])
        text = PretrainedModel(name, here / wire.TEXT_FOLDER, revision, dim, "text")
        pretrained = PretrainedModel(name, here / wire.CLIP_FOLDER, revision, dim, text=text if text.path.is_dir() else None)
        on_gpu = args["model_instance_kind"] == "GPU"
        if on_gpu:  # Triton makes an instance for each
            torch.cuda.set_device(int(args["model_instance_device_id"]))
        precision = parameters["precision"]
        self._encoder: Encoder = ClipEncoder(pretrained, device="cuda" if on_gpu else "cpu", precision=precision)
        model = self._encoder.model
        self._about = json.dumps({"device": model.device, "precision": model.precision}).encode()
        backend.Logger.log_info(f"{self._model_id} loaded on {model.device} in {model.precision}")

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer the requests that Triton's dynamic batcher put together, in one pass."""
        answers: dict[int, Any] = {}
        batches: dict[int, list[Prepared]] = {}
        for number, request in enumerate(requests):
            requested = json.loads(request.parameters() or "{}").get(wire.MODEL_ID)
            if requested == self._model_id:
                batches[number] = wire.to_items({name: _array(request, name) for name in self._inputs})
            else:
                answers[number] = _refusal(f"wrong-model: this is {self._model_id}, not {requested}")
        if batches:
            for number, outcome in zip(batches, embed_apart(self._encoder, list(batches.values())), strict=True):
                answers[number] = self._answer(requests[number], outcome)
        return [answers[number] for number in range(len(requests))]

    def _answer(self, request: Any, outcome: Vectors | MlApiError) -> Any:
        if isinstance(outcome, MlApiError):
            return _refusal(f"{outcome.slug}: {outcome.detail}")
        outputs = [_tensor(wire.EMBEDDING, outcome)]
        if wire.ABOUT in request.requested_output_names():
            outputs.append(_tensor(wire.ABOUT, np.tile(np.frombuffer(self._about, np.uint8), (len(outcome), 1))))
        return backend.InferenceResponse(outputs)


def _array(request: Any, name: str) -> Any:
    return np.from_dlpack(backend.get_input_tensor_by_name(request, name))


def _tensor(name: str, array: Any) -> Any:
    import torch

    # Through torch: the backend accepts numpy's own export, too, but renames its capsule, which numpy reports as an error later.
    return backend.Tensor.from_dlpack(name, torch.from_numpy(np.ascontiguousarray(array)))


def _refusal(message: str) -> Any:
    return backend.InferenceResponse(error=backend.TritonError(message))
