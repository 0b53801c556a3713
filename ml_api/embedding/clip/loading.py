"""From files to a model that is really the one they hold, on the device that was asked for."""

import logging
from typing import Any, Literal

from ml_api.embedding.clip.precision import Precision, dtype
from ml_api.embedding.pretrained import PretrainedModel
from ml_api.errors import ConfigError

Device = Literal["auto", "cpu", "cuda"]


def device_for(wanted: Device) -> Literal["cpu", "cuda"]:
    """Raises ConfigError if the device is not there."""
    import torch

    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise ConfigError("ML_API_DEVICE: there is no GPU that torch can use; set it to auto or cpu")
    return "cuda" if wanted == "cuda" or (wanted == "auto" and available) else "cpu"


class _MissingWeights(logging.Handler):
    """Hears transformers say that weights are missing from the file: it makes some up at random, and only warns."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = False

    def emit(self, record: logging.LogRecord) -> None:
        self.heard = self.heard or "MISSING" in record.getMessage()


def load(pretrained: PretrainedModel, device: str, precision: Precision) -> Any:
    """The `SentenceTransformer`; Any, as its types know neither its modules nor their processors. Raises ConfigError."""
    from sentence_transformers import SentenceTransformer

    options: dict[str, Any] = {"use_safetensors": True, "dtype": dtype(precision), "attn_implementation": "sdpa"}
    transformers_log, missing = _transformers_log(), _MissingWeights()
    transformers_log.addHandler(missing)
    try:
        model: Any = SentenceTransformer(
            str(pretrained.path), device=device, local_files_only=True, trust_remote_code=False, model_kwargs=options
        )
    except Exception as exc:  # half a dozen libraries read the model's files, and each raises errors of its own
        raise ConfigError(f"ML_API_MODEL: {pretrained.name} cannot be loaded ({type(exc).__name__}): {exc}") from exc
    finally:
        transformers_log.removeHandler(missing)
    if missing.heard:
        raise ConfigError(f"ML_API_MODEL: {pretrained.name} lacks some of its weights; its vectors would be random")
    if not {"text", "image"} <= set(model.modalities) or model.get_embedding_dimension() != pretrained.dim:
        raise ConfigError(f"ML_API_MODEL: {pretrained.name} is not a CLIP: it does not embed both text and images into one space")
    return model.eval()


def _transformers_log() -> logging.Logger:
    """The library's logger, made to write where everything else does: by default it prints to stderr, with progress bars."""
    from transformers.utils import logging as library

    library.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers ships it untyped
    library.disable_default_handler()
    library.enable_propagation()
    return logging.getLogger("transformers")
