"""Ranges of numbers for facets: as shops show prices, with a like number of hits in each, between round numbers."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from math import floor, inf, log10
from typing import Final

MAX_RANGES: Final = 5
STEPS: Final = 10
"""The bounds are multiples of a power of ten that fits into the span so many times: rounding moves few hits to another range."""


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers with bounds as in filters; None where there is none."""

    gte: float | None
    lt: float | None
    count: int
    """How many of the hits have a number in it."""


@dataclass(frozen=True, slots=True)
class Numbers:
    least: float
    most: float
    ranges: tuple[Range, ...]
    """In ascending order; those without a hit are left out."""


def numbers_of(hits: Sequence[Collection[float]]) -> Numbers | None:
    """Of the numbers that each hit has in a field; None if none has any."""
    numbers = sorted(number for ours in hits for number in ours)
    if not numbers:
        return None
    ranges = []
    for least, above in pairwise([-inf, *_bounds(numbers), inf]):
        if count := sum(any(least <= number < above for number in ours) for ours in hits):
            ranges.append(Range(_finite(least), _finite(above), count))
    return Numbers(numbers[0], numbers[-1], tuple(ranges))


def _bounds(numbers: Sequence[float]) -> list[float]:
    """Round numbers near the quantiles of sorted `numbers`, in ascending order."""
    widest_step = (numbers[-1] - numbers[0]) / STEPS
    if not 0 < widest_step < inf:
        return []
    step = Decimal(1).scaleb(floor(log10(widest_step)))
    quantiles = (numbers[len(numbers) * place // MAX_RANGES] for place in range(1, MAX_RANGES))
    rounded = {float(round(Decimal(quantile) / step) * step) for quantile in quantiles}
    return sorted(bound for bound in rounded if numbers[0] < bound <= numbers[-1])


def _finite(bound: float) -> float | None:
    return bound if abs(bound) < inf else None
