"""From files to a model that is really the one they hold, on the device that was asked for."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal

from ml_api.embedding.precision import Hardware, Precision
from ml_api.embedding.pretrained import PretrainedModel
from ml_api.errors import ConfigError

if TYPE_CHECKING:
    import torch

Device = Literal["auto", "cpu", "cuda"]

_BF16_INSTRUCTIONS: Final = ("avx512_bf16", "amx_bf16")
"""Without one of them a CPU emulates bfloat16, more slowly than it computes float32."""


def device_for(wanted: Device) -> Literal["cpu", "cuda"]:
    """Raises ConfigError if the device is not there."""
    import torch

    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise ConfigError("ML_API_DEVICE: there is no GPU that torch can use; set it to auto or cpu")
    return "cuda" if wanted == "cuda" or (wanted == "auto" and available) else "cpu"


def hardware(device: str) -> Hardware:
    """Ask torch, which asks the processor (or the emulated one that it was told to use)."""
    import torch

    if device == "cuda":
        return Hardware("cuda", torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return Hardware("cpu", any(capabilities.get(name) for name in _BF16_INSTRUCTIONS))


def dtype(precision: Precision) -> "torch.dtype":
    import torch

    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]


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
    try:
        with _listening() as missing:
            model: Any = SentenceTransformer(
                str(pretrained.path), device=device, local_files_only=True, trust_remote_code=False, model_kwargs=options
            )
    except Exception as exc:  # half a dozen libraries read the model's files, and each raises errors of its own
        raise ConfigError(f"ML_API_MODEL: {pretrained.name} cannot be loaded ({type(exc).__name__}): {exc}") from exc
    if missing.heard:
        raise ConfigError(f"ML_API_MODEL: {pretrained.name} lacks some of its weights; its vectors would be random")
    if not {"text", "image"} <= set(model.modalities) or model.get_embedding_dimension() != pretrained.dim:
        raise ConfigError(f"ML_API_MODEL: {pretrained.name} is not a CLIP: it does not embed both text and images into one space")
    return model.eval()


@contextmanager
def _listening() -> Iterator[_MissingWeights]:
    """To the library's logger, whatever TRANSFORMERS_VERBOSITY lets through, while it writes where everything else does: by default
    it prints to stderr, with progress bars.
    """
    from transformers.utils import logging as library

    library.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers ships it untyped
    library.disable_default_handler()
    library.enable_propagation()
    log, missing = logging.getLogger("transformers"), _MissingWeights()
    before = log.level
    log.addHandler(missing)
    log.setLevel(logging.WARNING)
    try:
        yield missing
    finally:
        log.setLevel(before)
        log.removeHandler(missing)
