"""Chooses the number format in which a model computes: bfloat16 where the hardware has instructions for it, float32 elsewhere.

Only speed depends on it. Vectors of all precisions are comparable (cosine 0.9999), so it is not part of a model's identity.
"""

import logging
from dataclasses import dataclass
from typing import Literal

from ml_api.errors import ConfigError

Precision = Literal["auto", "fp32", "bf16", "fp16"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Hardware:
    """The kind of device, and whether it has instructions for bfloat16."""

    device: Literal["cpu", "cuda"]
    native_bf16: bool


def choose(wanted: Precision, on: Hardware) -> Precision:
    """Resolve `auto` to a precision. Raises ConfigError for a precision that the device cannot use."""
    if wanted == "fp16" and on.device == "cpu":
        raise ConfigError("ML_API_PRECISION: fp16 is for GPUs, as a CPU only emulates it; set it to auto, fp32 or bf16")
    if wanted == "bf16" and not on.native_bf16:
        _log.warning("ML_API_PRECISION: this %s has no bfloat16 instructions; bf16 works, slower than auto would be", on.device)
    if wanted != "auto":
        return wanted
    if on.native_bf16:
        return "bf16"
    return "fp16" if on.device == "cuda" else "fp32"
