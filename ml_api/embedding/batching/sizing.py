"""How many inputs a forward pass should hold, by what it costs."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Final

from ml_api.embedding.base import Modality, Prepared

MAX_BATCH: Final = 64
_OVERHEAD: Final = 0.05
"""Share of a pass that may be its fixed cost. A larger batch would gain less than this, and everybody in it would wait longer."""


def units(item: Prepared) -> int:
    """What an input costs in units: token positions for text, as the model pads to the longest; one for an image."""
    return len(item.features) if item.modality == "text" else 1


@dataclass(frozen=True, slots=True)
class PassCost:
    """Seconds of a forward pass: a fixed part, and a part for each unit in it (see `units`), padding included."""

    fixed_s: float
    per_unit_s: float

    @property
    def spare_units(self) -> float:
        """How many units may be wasted to save one pass."""
        return self.fixed_s / self.per_unit_s

    def best_batch(self, units_each: int) -> int:
        """The smallest batch of inputs of this size in which the fixed part hardly matters."""
        return max(1, ceil(min(MAX_BATCH, (1 / _OVERHEAD - 1) * self.spare_units / units_each)))


TYPICAL: Final[Mapping[Modality, PassCost]] = {"text": PassCost(0.008, 0.00025), "image": PassCost(0.016, 0.029)}
"""ViT-B/32 in bfloat16 on two cores, for whoever has not measured (see `warm_up`)."""
