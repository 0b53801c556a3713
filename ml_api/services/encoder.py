"""Which encoder: the model in this process, in one of its own, or on a Triton server."""

import logging
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from ml_api.embedding.base import Encoder
from ml_api.errors import ConfigError, ModelUnavailable
from ml_api.metrics import Metrics
from ml_api.settings import Settings

if TYPE_CHECKING:
    from ml_api.embedding.pretrained import PretrainedModel
    from ml_api.embedding.triton.repository import InstanceKind

TRITON_NAME = "clip"
TRITON_KINDS: dict[str, "InstanceKind"] = {"auto": "KIND_AUTO", "cpu": "KIND_CPU", "cuda": "KIND_GPU"}

_log = logging.getLogger(__name__)


def load_encoder(settings: Settings, pretrained: "PretrainedModel", metrics: Metrics, *, serving: bool = False) -> Encoder:
    """For `serving`, beside requests, the model gets a process of its own; a sync has nothing that it would hold up."""
    started = perf_counter()
    if settings.embedding_url:
        encoder = _on_triton(settings.embedding_url, pretrained)
    else:
        encoder = (_in_child if serving else _in_process)(settings, pretrained, metrics)
    metrics.embedding.describe_model(encoder.model, perf_counter() - started)
    _log.info(
        "%s loaded on %s in %s, %.1f s", encoder.model.name, encoder.model.device, encoder.model.precision, perf_counter() - started
    )
    return encoder


def _in_process(settings: Settings, pretrained: "PretrainedModel", metrics: Metrics) -> Encoder:
    from ml_api.embedding.clip import ClipEncoder, memory

    encoder = ClipEncoder(pretrained, device=settings.device, precision=settings.precision)
    if encoder.model.device.startswith("cuda"):
        metrics.gpu.watch_torch(partial(memory, encoder.model.device))
    return encoder


def _in_child(settings: Settings, pretrained: "PretrainedModel", metrics: Metrics) -> Encoder:
    from ml_api.embedding.child import ChildEncoder, Load
    from ml_api.embedding.clip import ClipPreparer
    from ml_api.embedding.pretrained import resolve

    load = Load(pretrained, settings.device, settings.precision, settings.log_level, settings.environment)
    try:
        encoder = ChildEncoder(partial(ClipPreparer.of, pretrained), load, partial(resolve, settings.model))
    except ModelUnavailable as exc:
        raise ConfigError(f"ML_API_MODEL: {exc.detail}") from exc
    metrics.gpu.watch_torch(encoder.memory)
    metrics.process.watch_model(lambda: encoder.pid)
    return encoder


def _on_triton(url: str, pretrained: "PretrainedModel") -> Encoder:
    from ml_api.embedding.clip import ClipPreparer

    try:
        from ml_api.embedding.triton.connection import Endpoint
        from ml_api.embedding.triton.encoder import TritonEncoder
    except ModuleNotFoundError as exc:
        raise ConfigError(
            "ML_API_EMBEDDING_URL: the package tritonclient is not installed: "
            "pip install -r requirements-triton.txt -c constraints.txt"
        ) from exc
    return TritonEncoder(Endpoint.of(url), pretrained, ClipPreparer.of(pretrained))


def write_triton_repository(settings: Settings, folder: Path) -> list[Path]:
    """What a Triton server needs to run the configured model; the folders of its two models. Raises ConfigError."""
    from ml_api.embedding.clip import ClipPreparer
    from ml_api.embedding.pretrained import resolve
    from ml_api.embedding.triton.repository import Served, write_repository

    name = settings.embedding_url.rpartition("/")[2] or TRITON_NAME
    pretrained = resolve(settings.model)
    served = Served(name, TRITON_KINDS[settings.device], settings.precision)
    return write_repository(folder, pretrained, ClipPreparer.of(pretrained).image_edge_px, served)
