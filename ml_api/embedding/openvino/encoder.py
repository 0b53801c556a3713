"""The forward pass as an `Encoder`: features in the caller's thread, OpenVINO computes, and Python's lock is free meanwhile."""

import logging
import queue
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt
import openvino  # type: ignore[import-untyped]  # shipped without a py.typed marker

from ml_api.cores import usable
from ml_api.embedding.base import Prepared
from ml_api.embedding.openvino.files import ConvertedFiles, NotConverted, Stored
from ml_api.embedding.precision import Hardware, Precision, choose
from ml_api.embedding.preprocessing import PretrainedPreprocessor, stack
from ml_api.embedding.pretrained import PretrainedModel
from ml_api.errors import ModelOutOfMemory, ModelUnavailable, NonFiniteVector
from ml_api.records import ModelInfo, Vectors
from ml_api.vocabulary import Modality

PASSES: Final = 2
"""How many are under way at once: while one is between two parallel steps, or its vectors are handed out, the other computes."""
SHAPES: Final = 256
"""How many shapes of inputs a stream keeps its kernels for; texts come in some thousand, and each takes about 0.2 MB."""
_OUT_OF_MEMORY: Final = ("bad_alloc", "allocate", "out of memory")
"""How OpenVINO and oneDNN say it, in a plain RuntimeError."""

_log = logging.getLogger(__name__)


class OpenVinoEncoder:
    """An `Encoder` over a model's converted files."""

    def __init__(self, pretrained: PretrainedModel, files: ConvertedFiles, *, precision: Precision = "auto") -> None:
        """Raises ConfigError for a model or a precision that cannot be used, NotConverted for what only torch can compute."""
        core = openvino.Core()
        chosen = choose(precision, hardware(core))
        stored: Stored = "fp16" if chosen == "bf16" else "fp32"
        try:
            models, self.preprocessor = _read(core, _folders(pretrained, files, stored), chosen)
        except Unreadable as exc:
            _log.warning("the converted files of %s are damaged and are made again: %s", pretrained.name, exc.__cause__)
            files.discard(pretrained, stored)
            models, self.preprocessor = _read(core, _folders(pretrained, files, stored), chosen)
        self._info = pretrained.info("cpu", chosen)
        self._passes = {modality: _Requests(*compiled) for modality, compiled in models.items()}
        self._pass_once()

    @property
    def model(self) -> ModelInfo:
        return self._info

    @property
    def concurrency(self) -> int:
        return PASSES

    def embed(self, items: Sequence[Prepared]) -> Vectors:
        """Raises ModelOutOfMemory, NonFiniteVector, ModelUnavailable."""
        try:
            arrays = self._arrays(items)
            with self._passes[items[0].modality].one(len(items)) as compute:
                vectors = compute(arrays)
        except MemoryError as exc:
            raise ModelOutOfMemory from exc
        except (RuntimeError, ValueError) as exc:  # what OpenVINO and numpy raise for inputs that they cannot take
            if any(words in str(exc) for words in _OUT_OF_MEMORY):
                raise ModelOutOfMemory from exc
            raise ModelUnavailable("The model failed.") from exc
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not (np.isfinite(norms).all() and (norms > 0).all()):
            raise NonFiniteVector
        return cast("Vectors", vectors / norms)

    def _pass_once(self) -> None:
        """One pass of each kind while nobody else is here.

        The bindings (2026.4) make tables at the first call, in C++ statics whose making lets Python's lock go: a second thread that
        comes to them meanwhile waits for the static with the lock, which the first waits for, and the process stands still.
        """
        edge = self.preprocessor.fit.edge_px
        blank = np.zeros((edge, edge, 3), dtype=np.uint8)
        for item in (self.preprocessor.prepare_text("dog"), self.preprocessor.prepare_image(blank)):
            self.embed([item])

    def _arrays(self, items: Sequence[Prepared]) -> Mapping[str, npt.NDArray[Any]]:
        """Raises ValueError for a token that the model does not know: OpenVINO would compute something of it."""
        if items[0].modality == "image":
            return stack(items)
        arrays = self.preprocessor.tokenizer.pad(items)
        ids = arrays["input_ids"]
        if ids.min() < 0 or ids.max() >= self.preprocessor.tokenizer.vocabulary:
            raise ValueError("no such token")
        return arrays

    def close(self) -> None:
        pass  # the weights go when the last who holds them does


def hardware(core: openvino.Core) -> Hardware:
    """OpenVINO computes in bfloat16 of its own accord where the processor multiplies it."""
    return Hardware("cpu", native_bf16=core.get_property("CPU", "INFERENCE_PRECISION_HINT") == openvino.Type.bf16)


def compile_model(core: openvino.Core, model: Any, precision: Precision, *, streams: int = 1) -> Any:
    """`model` is one in memory, or the path of a `.xml`. The streams share the cores: each computes one pass at a time."""
    return core.compile_model(
        model,
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
            "NUM_STREAMS": str(streams),
            "INFERENCE_NUM_THREADS": str(usable()),
            # Bound to a core, a thread would wait for the request that is decoded there while another core is idle.
            "ENABLE_CPU_PINNING": "NO",
            "CPU_RUNTIME_CACHE_CAPACITY": str(SHAPES),
        },
    )


class Unreadable(NotConverted):
    """Converted files are there, and complete, but not what was written."""


def _folders(pretrained: PretrainedModel, files: ConvertedFiles, stored: Stored) -> dict[Modality, Path]:
    """Where the files of each modality lie: the model's own, but for texts those of the text encoder beside it."""
    own = files.find(replace(pretrained, text=None), stored)
    return {"text": files.find(pretrained, stored) if pretrained.text else own, "image": own}


def _read(
    core: openvino.Core, folders: dict[Modality, Path], precision: Precision
) -> tuple[dict[Modality, tuple[Any, Any]], PretrainedPreprocessor]:
    """For each modality what computes a lone item, and what computes the rest.

    A pass over images keeps all cores busy by itself. One over texts does not (two at once: 1.2 to 1.8 times as many texts), but a
    lone text takes half as long on all cores: for 80 MB of memory (ViT-B/32) texts have both.
    """
    try:
        image = compile_model(core, str(folders["image"] / "image.xml"), precision)
        text = compile_model(core, str(folders["text"] / "text.xml"), precision)
        streams = min(PASSES, usable())
        texts = compile_model(core, str(folders["text"] / "text.xml"), precision, streams=streams) if streams > 1 else text
        return {"image": (image, image), "text": (text, texts)}, PretrainedPreprocessor.read(folders["text"])
    except Exception as exc:  # whatever a damaged file makes of OpenVINO, tokenizers or json
        raise Unreadable("its converted files cannot be read") from exc


class _Requests:
    """OpenVINO's requests, each for one pass at a time: as many as are under way at once, and one for a lone item."""

    def __init__(self, alone: Any, several: Any) -> None:
        self._names = [tensor.any_name for tensor in alone.inputs]
        self._alone = alone.create_infer_request()
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(PASSES):
            self._idle.put(several.create_infer_request())

    @contextmanager
    def one(self, items: int) -> Iterator[Any]:
        taken = self._idle.get()
        alone = items == 1 and self._idle.qsize() == PASSES - 1
        request = self._alone if alone else taken
        try:
            yield lambda arrays: request.infer({name: arrays[name] for name in self._names}, share_inputs=True)[0]
        finally:
            self._idle.put(taken)
