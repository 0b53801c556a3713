"""Any number of things, some at a time: `itertools.batched`, which Python has from 3.12 on."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

_T = TypeVar("_T")


def batched(things: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """Lists of `size`, in order; the last may be shorter."""
    waiting = iter(things)
    while some := list(islice(waiting, size)):
        yield some
