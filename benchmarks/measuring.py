"""How things are measured here: the sides take turns in one run, medians over the rounds, ratios of neighbours in time.

A machine shared with others is faster or slower from one minute to the next; a ratio of two figures taken side by side is not.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from time import perf_counter, sleep
from typing import Final

import numpy as np

SETTLED: Final = 1.15
"""Three looks at a latency whose slowest is no slower than this times the fastest: what is built in the background is built."""
SETTLE_S: Final = 240.0
"""Longest wait for that."""
LOOK_EVERY_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Sides:
    """What each side made of each round: its rate, in things a second."""

    rates: Mapping[str, tuple[float, ...]]

    def median(self, side: str) -> float:
        return median(self.rates[side])

    def ratio(self, side: str, to: str) -> float:
        """The median of the rounds' ratios: above 1, `side` is the faster."""
        return median(self._ratios(side, to))

    def ratio_range(self, side: str, to: str) -> tuple[float, float]:
        return min(self._ratios(side, to)), max(self._ratios(side, to))

    def _ratios(self, side: str, to: str) -> list[float]:
        return [one / other for one, other in zip(self.rates[side], self.rates[to], strict=True)]


def alternate(sides: Mapping[str, Callable[[], float]], rounds: int) -> Sides:
    """Let each side measure its own rate, in turns, `rounds` times; the order is turned round each time."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        names = list(sides)[:: 1 if number % 2 == 0 else -1]
        for name in names:
            rates[name].append(sides[name]())
    return Sides({name: tuple(values) for name, values in rates.items()})


def settle(look: Callable[[], float]) -> tuple[float, float]:
    """Wait until a latency stays. Returns the first of them, and how long that took, in seconds."""
    started, looks = perf_counter(), [look()]
    while perf_counter() - started < SETTLE_S:
        sleep(LOOK_EVERY_S)
        looks.append(look())
        if len(looks) >= 3 and max(looks[-3:]) <= SETTLED * min(looks[-3:]):
            break
    return looks[0], perf_counter() - started


def rate_of(work: Callable[[], int], seconds: float) -> float:
    """Things a second: `work` says how many it did. Runs it at least once, then until the time is up."""
    started, done = perf_counter(), 0
    while True:
        done += work()
        elapsed = perf_counter() - started
        if elapsed >= seconds:
            return done / elapsed


def percentile_ms(seconds: list[float], percent: float) -> float:
    return float(np.percentile(seconds, percent)) * 1000 if seconds else float("nan")
