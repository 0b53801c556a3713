"""Computes CLIP's forward pass on CPUs with OpenVINO, as an `Encoder`; Python's lock is free meanwhile."""

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
"""Concurrent passes: while one is between two parallel steps, or its vectors are distributed, the other computes."""
SHAPES: Final = 256
"""For how many input shapes a stream caches its kernels, about 0.2 MB each; texts have some thousand shapes."""
_OUT_OF_MEMORY: Final = ("bad_alloc", "allocate", "out of memory")
"""Parts of the messages of the RuntimeErrors that OpenVINO and oneDNN raise."""

_log = logging.getLogger(__name__)


class OpenVinoEncoder:
    """An `Encoder` over a model's converted files."""

    def __init__(self, pretrained: PretrainedModel, files: ConvertedFiles, *, precision: Precision = "auto") -> None:
        """Load the converted files, converting the model if there are none.

        Raises ConfigError for a model or a precision that cannot be used, NotConverted for a model that only torch can compute.
        """
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
            with self._passes[items[0].modality].acquire(len(items)) as compute:
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
        """Run one pass of each modality before other threads use this encoder.

        At the first call the bindings (2026.4) initialise C++ statics and release Python's lock meanwhile. A second thread that
        reaches them then waits for the static while it holds the lock, for which the first thread waits: a deadlock.
        """
        edge = self.preprocessor.fit.edge_px
        blank = np.zeros((edge, edge, 3), dtype=np.uint8)
        for item in (self.preprocessor.prepare_text("dog"), self.preprocessor.prepare_image(blank)):
            self.embed([item])

    def _arrays(self, items: Sequence[Prepared]) -> Mapping[str, npt.NDArray[Any]]:
        """The model's inputs by name. Raises ValueError for a token id outside the vocabulary, for which OpenVINO would compute an
        arbitrary vector."""
        if items[0].modality == "image":
            return stack(items)
        arrays = self.preprocessor.tokenizer.pad(items)
        ids = arrays["input_ids"]
        if ids.min() < 0 or ids.max() >= self.preprocessor.tokenizer.vocabulary:
            raise ValueError("no such token")
        return arrays

    def close(self) -> None:
        pass  # the weights are freed with the last reference to them


def hardware(core: openvino.Core) -> Hardware:
    """What OpenVINO reports of the CPU: by default it computes in bfloat16 where the CPU has instructions for it."""
    return Hardware("cpu", native_bf16=core.get_property("CPU", "INFERENCE_PRECISION_HINT") == openvino.Type.bf16)


def compile_model(core: openvino.Core, model: Any, precision: Precision, *, streams: int = 1) -> Any:
    """Compile `model`, which is in memory or the path of an `.xml` file. Each of the `streams` computes one pass at a time; they
    share the cores."""
    return core.compile_model(
        model,
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
            "NUM_STREAMS": str(streams),
            "INFERENCE_NUM_THREADS": str(usable()),
            # A thread pinned to a core would wait for the image that is decoded there while another core is idle.
            "ENABLE_CPU_PINNING": "NO",
            "CPU_RUNTIME_CACHE_CAPACITY": str(SHAPES),
        },
    )


class Unreadable(NotConverted):
    """The converted files pass the check of their digests, but cannot be loaded."""


def _folders(pretrained: PretrainedModel, files: ConvertedFiles, stored: Stored) -> dict[Modality, Path]:
    """The folder of the files for each modality: the model's own, or for texts that of the text encoder beside it."""
    own = files.find(replace(pretrained, text=None), stored)
    return {"text": files.find(pretrained, stored) if pretrained.text else own, "image": own}


def _read(
    core: openvino.Core, folders: dict[Modality, Path], precision: Precision
) -> tuple[dict[Modality, tuple[Any, Any]], PretrainedPreprocessor]:
    """Return for each modality the compiled model for single items and the one for batches, and the preprocessor.

    A pass over images keeps all cores busy by itself. One over texts does not (two at once: 1.2 to 1.8 times as many texts), but a
    single text takes half as long on all cores: for 80 MB of memory (ViT-B/32) texts have both.
    """
    try:
        image = compile_model(core, str(folders["image"] / "image.xml"), precision)
        text = compile_model(core, str(folders["text"] / "text.xml"), precision)
        streams = min(PASSES, usable())
        texts = compile_model(core, str(folders["text"] / "text.xml"), precision, streams=streams) if streams > 1 else text
        return {"image": (image, image), "text": (text, texts)}, PretrainedPreprocessor.read(folders["text"])
    except Exception as exc:  # whatever OpenVINO, tokenizers or json raise for a damaged file
        raise Unreadable("its converted files cannot be read") from exc


class _Requests:
    """A pool of OpenVINO's inference requests, each for one pass at a time: PASSES of them, and one for a single item."""

    def __init__(self, alone: Any, several: Any) -> None:
        self._names = [tensor.any_name for tensor in alone.inputs]
        self._alone = alone.create_infer_request()
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(PASSES):
            self._idle.put(several.create_infer_request())

    @contextmanager
    def acquire(self, items: int) -> Iterator[Any]:
        """Wait for a free request, and yield a function that computes a pass over `items` inputs with it."""
        taken = self._idle.get()
        alone = items == 1 and self._idle.qsize() == PASSES - 1
        request = self._alone if alone else taken
        try:
            yield lambda arrays: request.infer({name: arrays[name] for name in self._names}, share_inputs=True)[0]
        finally:
            self._idle.put(taken)
