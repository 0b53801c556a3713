"""Measures what a forward pass costs, before the first request, and derives from it how many inputs a batch should have.

The cost depends on the model, the machine and its load, so it is not a setting. Measuring also warms the model up: it runs passes
of the shapes that requests will have.
"""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from time import perf_counter
from typing import Final

import numpy as np

from ml_api.embedding.base import Encoder, Prepared, Preprocessor
from ml_api.errors import ModelOutOfMemory
from ml_api.vocabulary import Modality

MAX_BATCH: Final = 64
_OVERHEAD: Final = 0.05
"""Share of a pass that its fixed cost may take. A larger batch would gain less than this, and all inputs in it would wait
longer."""
_OVERHEAD_BESIDE: Final = 1 / 3
"""The same for a pass that runs beside another one. Its inputs could also wait for that one to end, and share a pass with later
ones."""
WARM_UP_S: Final = 5.0
_SIZES: Final = (1, 4, 16, MAX_BATCH)
_TEXTS: Final = ("dog", "two dogs playing in the snow at night", "two dogs playing in the snow " * 50)
"""One word, a typical query, and a text longer than any model's context."""
_FASTER: Final = 1.1
"""How much faster a pass must be than the ones before it, for another round to be worth its time."""
_LEAST_S: Final = 1e-9
_ROUNDED: Final = 1.001
"""A line through two times is above neither, though numbers are rounded."""

_log = logging.getLogger(__name__)

Clock = Callable[[], float]


def units(item: Prepared) -> int:
    """The size of an input in units: the number of its tokens for a text, 1 for an image."""
    return len(item.features) if item.modality == "text" else 1


@dataclass(frozen=True, slots=True)
class PassCost:
    """Duration of a forward pass, in seconds: a fixed part, and a part for each unit in it (see `units`), padding included."""

    fixed_s: float
    per_unit_s: float

    @property
    def spare_units(self) -> float:
        """How many units of padding cost as much as one more pass."""
        return self.fixed_s / self.per_unit_s

    def seconds(self, size: float) -> float:
        """How long a pass of `size` units takes."""
        return self.fixed_s + self.per_unit_s * size

    def best_batch(self, units_each: int) -> int:
        """The smallest batch, of inputs of `units_each` units, in which the fixed part takes at most _OVERHEAD."""
        return self._batch(_OVERHEAD, units_each)

    def least_beside(self, units_each: int) -> int:
        """The smallest batch, of inputs of `units_each` units, that may run beside another pass (_OVERHEAD_BESIDE)."""
        return self._batch(_OVERHEAD_BESIDE, units_each)

    def _batch(self, overhead: float, units_each: int) -> int:
        return max(1, math.ceil(min(MAX_BATCH, (1 / overhead - 1) * self.spare_units / units_each)))


TYPICAL: Final[Mapping[Modality, PassCost]] = {"text": PassCost(0.008, 0.00025), "image": PassCost(0.016, 0.029)}
"""The costs of ViT-B/32 in bfloat16 on two cores: the default where `warm_up` has not measured them."""


def warm_up(
    preprocessor: Preprocessor, encoder: Encoder, *, budget_s: float = WARM_UP_S, clock: Clock = perf_counter
) -> dict[Modality, PassCost]:
    """Embed small batches, then larger ones, as far as `budget_s` allows, at least one of each modality; return their costs.

    The first pass of each modality, and so its setup, comes on top of `budget_s`.

    Raises ModelUnavailable, and ModelOutOfMemory if not even a single input fits.
    """
    edge = preprocessor.fit.edge_px
    texts = [preprocessor.prepare_text(text) for text in _TEXTS]
    image = preprocessor.prepare_image(np.zeros((edge, edge, 3), dtype=np.uint8))
    passes: dict[Modality, list[list[Prepared]]] = {
        "text": [[text] * size for size in _SIZES for text in texts],
        "image": [[image] * size for size in _SIZES],
    }
    half_s = budget_s / len(passes)
    costs = {modality: _fit(_measure(encoder, batches, half_s, clock)) for modality, batches in passes.items()}
    _log.info(
        "warmed up; best batches: %d texts, %d images", costs["text"].best_batch(units(texts[1])), costs["image"].best_batch(1)
    )
    return costs


def _measure(encoder: Encoder, batches: Sequence[list[Prepared]], budget_s: float, clock: Clock) -> list[tuple[int, float]]:
    """Return units and seconds of the fastest pass of each batch.

    One-off setup, of the model or of a shape, may take longer than the whole budget. So the model's first pass comes before it and
    is not measured, and each later batch has two passes at first, or none.

    All batches have their turns, so that other work of the machine, which comes and goes, slows none of them each time, until a
    round makes none faster or the time is up. What may exceed that, as estimated by the cheapest unit so far, is left out: a larger
    pass costs less than in proportion, as part of the cost is fixed.
    """
    encoder.embed(batches[0])
    end, unit_s = clock() + budget_s, math.inf
    fastest: dict[int, float] = {}
    """By the number of units."""
    is_faster = True
    while is_faster:
        is_faster = False
        for batch in batches:
            size = len(batch) * units(batch[0])
            passes = 2 if fastest and size not in fastest else 1
            if fastest and clock() + passes * min(fastest.get(size, math.inf), size * unit_s) > end:
                continue
            try:
                seconds = min(_time(encoder, batch, clock) for _ in range(passes))
            except ModelOutOfMemory:
                if len(batch) == 1:
                    raise
                batches = [smaller for smaller in batches if len(smaller) < len(batch)]
                break
            is_faster |= seconds < fastest.get(size, math.inf) / _FASTER
            fastest[size] = min(seconds, fastest.get(size, math.inf))
            unit_s = min(unit_s, seconds / size)
    return list(fastest.items())


def _time(encoder: Encoder, batch: list[Prepared], clock: Clock) -> float:
    started = clock()
    encoder.embed(batch)
    return clock() - started


def _fit(measured: Sequence[tuple[int, float]]) -> PassCost:
    """Fit a line to seconds over units: the highest that no pass was faster than, as other work of the machine only adds to a time.

    Distances are relative to the times, so that small passes count like large ones.
    """
    points = [(size, max(seconds, _LEAST_S)) for size, seconds in measured]
    lines = [PassCost(0.0, min(seconds / size for size, seconds in points))]
    for (size, seconds), (larger, longer) in combinations(sorted(points), 2):
        per_unit_s = max(_LEAST_S, (longer - seconds) / (larger - size))
        lines.append(PassCost(seconds - per_unit_s * size, per_unit_s))
    below = [
        line for line in lines if line.fixed_s >= 0 and all(line.seconds(size) <= seconds * _ROUNDED for size, seconds in points)
    ]
    return max(below, key=lambda line: sum(line.seconds(size) / seconds for size, seconds in points))
