"""Splits an iterable into lists of equal length, as `itertools.batched` does from Python 3.12 on."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

_T = TypeVar("_T")


def batched(things: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """Yield lists of `size` things, in order; the last may be shorter."""
    remaining = iter(things)
    while batch := list(islice(remaining, size)):
        yield batch
