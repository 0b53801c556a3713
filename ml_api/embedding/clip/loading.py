"""Loads a model's files with sentence-transformers on a device, and refuses a model that lacks weights or is of the wrong kind."""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal

from ml_api.embedding.precision import Hardware, Precision
from ml_api.embedding.pretrained import Kind, PretrainedModel
from ml_api.errors import ConfigError
from ml_api.vocabulary import MODALITIES, Modality

if TYPE_CHECKING:
    import torch

Device = Literal["auto", "cpu", "cuda"]

_EMBEDS: Final[Mapping[Kind, tuple[Modality, ...]]] = {"dual": MODALITIES, "text": ("text",)}
_NOT_OF_THIS_KIND: Final[Mapping[Kind, str]] = {
    "dual": "is not a CLIP: it does not embed both text and images into one space",
    "text": "does not make the vectors that its configuration promises",
}

_BF16_INSTRUCTIONS: Final = ("avx512_bf16", "amx_bf16")
"""Without one of them a CPU emulates bfloat16, more slowly than it computes float32."""
_MISSING: Final = re.compile(r"^(\S+) *\| *(?:\x1b\[\d+m)?MISSING", re.MULTILINE)
_UNUSED: Final = "pooler."
"""What the weights of BERT's own pooler are called. Text encoders leave them out: they pool the tokens in a module of theirs."""


def device_for(wanted: Device) -> Literal["cpu", "cuda"]:
    """Resolve `auto` to the GPU if torch can use one. Raises ConfigError if `cuda` is wanted and missing."""
    import torch

    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise ConfigError("ML_API_DEVICE: there is no GPU that torch can use; set it to auto or cpu")
    return "cuda" if wanted == "cuda" or (wanted == "auto" and available) else "cpu"


def hardware(device: str) -> Hardware:
    """What torch reports of the device."""
    import torch

    if device == "cuda":
        return Hardware("cuda", torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return Hardware("cpu", any(capabilities.get(name) for name in _BF16_INSTRUCTIONS))


def dtype(precision: Precision) -> "torch.dtype":
    import torch

    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]


def memory(device: str) -> dict[str, tuple[int, int]]:
    """Return, for `device`, the bytes in tensors and the bytes that torch has reserved for them."""
    import torch

    return {device: (torch.cuda.memory_allocated(device), torch.cuda.memory_reserved(device))}


class _MissingWeights(logging.Handler):
    """Collects from the log of transformers the names of weights that are missing from the file, which it sets at random.

    It only warns about them, in a table of names and problems.
    """

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if "MISSING" in message:
            self.names |= set(_MISSING.findall(message)) or {message}


def load(pretrained: PretrainedModel, device: str, precision: Precision) -> Any:
    """Load a `SentenceTransformer` (Any, as its types describe neither its modules nor their processors). Raises ConfigError."""
    from sentence_transformers import SentenceTransformer

    options: dict[str, Any] = {"use_safetensors": True, "dtype": dtype(precision), "attn_implementation": "sdpa"}
    try:
        with _listening() as missing:
            model: Any = SentenceTransformer(
                str(pretrained.path), device=device, local_files_only=True, trust_remote_code=False, model_kwargs=options
            )
    except Exception as exc:  # half a dozen libraries read the model's files, and each raises errors of its own
        raise pretrained.refused(f"cannot be loaded ({type(exc).__name__}): {exc}") from exc
    is_text = pretrained.kind == "text"
    if [name for name in missing.names if not (is_text and name.startswith(_UNUSED))]:
        raise pretrained.refused("lacks some of its weights; its vectors would be random")
    if not set(_EMBEDS[pretrained.kind]) <= set(model.modalities) or model.get_embedding_dimension() != pretrained.dim:
        raise pretrained.refused(_NOT_OF_THIS_KIND[pretrained.kind])
    if model.prompts.get(model.default_prompt_name):
        raise pretrained.refused("puts a prompt of its own before every text, which is not supported")
    return model.eval()


@contextmanager
def _listening() -> Iterator[_MissingWeights]:
    """Collect missing weights from the library's logger, whatever TRANSFORMERS_VERBOSITY is, and let it log through the service's
    handlers: by default it prints to stderr, with progress bars.
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
