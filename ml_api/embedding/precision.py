"""In which numbers the model computes: bfloat16 where the hardware multiplies it, float32 elsewhere.

Only time depends on it. Vectors of all precisions are comparable (cosine 0.9999), so it is no part of a model's identity.
"""

import logging
from dataclasses import dataclass
from typing import Literal

from ml_api.errors import ConfigError

Precision = Literal["auto", "fp32", "bf16", "fp16"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Hardware:
    """What decides: the kind of device, and whether it multiplies bfloat16 by itself."""

    device: Literal["cpu", "cuda"]
    native_bf16: bool


def choose(wanted: Precision, on: Hardware) -> Precision:
    """Anything but `auto`. Raises ConfigError for what does not work."""
    if wanted == "fp16" and on.device == "cpu":
        raise ConfigError("ML_API_PRECISION: fp16 is for GPUs, as a CPU only emulates it; set it to auto, fp32 or bf16")
    if wanted == "bf16" and not on.native_bf16:
        _log.warning("ML_API_PRECISION: this %s has no bfloat16 instructions; bf16 works, slower than auto would be", on.device)
    if wanted != "auto":
        return wanted
    if on.native_bf16:
        return "bf16"
    return "fp16" if on.device == "cuda" else "fp32"
