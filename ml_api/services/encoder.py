"""Chooses the encoder of a model: OpenVINO on a CPU, torch on a GPU, or a Triton server."""

import logging
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from ml_api.collector import collect_as_usual
from ml_api.embedding.base import Encoder, Preprocessor
from ml_api.errors import ConfigError
from ml_api.settings import Settings

if TYPE_CHECKING:
    from ml_api.embedding.clip import Device
    from ml_api.embedding.pretrained import PretrainedModel
    from ml_api.embedding.triton.repository import InstanceKind

TRITON_NAME = "clip"
TRITON_KINDS: dict[str, "InstanceKind"] = {"auto": "KIND_AUTO", "cpu": "KIND_CPU", "cuda": "KIND_GPU"}
Model = tuple[Preprocessor, Encoder]
"""Preprocessing, in the caller's thread, and the forward pass. Close the encoder."""

_log = logging.getLogger(__name__)


class LoadedModel(NamedTuple):
    """A `Model`, and how long it took to load."""

    preprocessor: Preprocessor
    encoder: Encoder
    load_s: float


def image_model(settings: Settings) -> "PretrainedModel":
    """The model for callers that embed images only. Raises ConfigError.

    A text encoder is passed on only so that a Triton server that has it is recognised.
    """
    from ml_api.embedding.pretrained import resolve

    return resolve(settings.model, settings.text_model if settings.embedding_url else "")


def load_model(settings: Settings, pretrained: "PretrainedModel") -> LoadedModel:
    """Raises ConfigError."""
    started = perf_counter()
    if settings.embedding_url:
        preprocessor, encoder = _on_triton(settings.embedding_url, pretrained)
    elif _on_gpu(settings.device):
        preprocessor, encoder = _by_torch(settings, pretrained)
    else:
        preprocessor, encoder = _on_cpu(settings, pretrained)
    collect_as_usual()  # all libraries are loaded
    info, seconds = encoder.model, perf_counter() - started
    texts = f", texts by {info.text_model}" if info.text_model else ""
    _log.info("%s loaded on %s in %s, %.1f s%s", info.name, info.device, info.precision, seconds, texts)
    return LoadedModel(preprocessor, encoder, seconds)


def load_later(settings: Settings, pretrained: "PretrainedModel", owner: ExitStack) -> Callable[[], Model]:
    """Loads the model when it is called, once; `owner` closes it."""

    def load() -> Model:
        loaded = load_model(settings, pretrained)
        return loaded.preprocessor, owner.enter_context(closing(loaded.encoder))

    return load


def _on_gpu(device: "Device") -> bool:
    """Whether torch is to compute on a GPU. torch is imported, which takes seconds, only if the driver sees a GPU."""
    if device == "cpu" or (device == "auto" and not _driver_sees_one()):
        return False
    from ml_api.embedding.clip import device_for

    return device_for(device) == "cuda"


def _driver_sees_one() -> bool:
    import pynvml

    try:
        pynvml.nvmlInit()
        return bool(pynvml.nvmlDeviceGetCount())
    except pynvml.NVMLError:
        return False


def _on_cpu(settings: Settings, pretrained: "PretrainedModel") -> Model:
    from ml_api.embedding.openvino import ConvertedFiles, NotConverted, OpenVinoEncoder

    try:
        encoder = OpenVinoEncoder(pretrained, ConvertedFiles(settings.converted_models), precision=settings.precision)
    except NotConverted as exc:
        _log.warning("%s is computed by torch, which is slower beside requests than OpenVINO: %s", pretrained.name, exc)
        return _by_torch(settings, pretrained)
    return encoder.preprocessor, encoder


def _by_torch(settings: Settings, pretrained: "PretrainedModel") -> Model:
    from ml_api.embedding.clip import ClipEncoder

    encoder = ClipEncoder(pretrained, device=settings.device, precision=settings.precision)
    return encoder.preprocessor, encoder


def _on_triton(url: str, pretrained: "PretrainedModel") -> Model:
    from ml_api.embedding.clip import preprocessor_of

    try:
        from ml_api.embedding.triton.connection import Endpoint
        from ml_api.embedding.triton.encoder import TritonEncoder
    except ModuleNotFoundError as exc:
        raise ConfigError(
            "ML_API_EMBEDDING_URL: the package tritonclient is not installed: "
            "pip install -r requirements-triton.txt -c constraints.txt"
        ) from exc
    preprocessor = preprocessor_of(pretrained)
    return preprocessor, TritonEncoder(Endpoint.of(url), pretrained, preprocessor)


def write_triton_repository(settings: Settings, folder: Path) -> list[Path]:
    """What a Triton server needs to run the configured model; the folders of its two models. Raises ConfigError."""
    from ml_api.embedding.clip import preprocessor_of
    from ml_api.embedding.pretrained import resolve
    from ml_api.embedding.triton.repository import Served, write_repository

    name = settings.embedding_url.rpartition("/")[2] or TRITON_NAME
    pretrained = resolve(settings.model, settings.text_model)
    served = Served(name, TRITON_KINDS[settings.device], settings.precision)
    return write_repository(folder, pretrained, preprocessor_of(pretrained).fit.edge_px, served)
