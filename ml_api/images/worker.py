"""The main loop of a decoding process, which `processes/child` starts. It imports nothing but what decoding needs, and limits its
own time and memory before every image.

The kernel enforces the limits: RLIMIT_DATA for memory, RLIMIT_CPU for time. The parent limits the wall-clock time.
"""

import ctypes
import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from math import ceil
from typing import TYPE_CHECKING, Final

from ml_api.errors import TooCostly
from ml_api.images.cropping import Crop
from ml_api.images.decoding import ImageLimits, decode
from ml_api.images.fit import Fit, thumbnail
from ml_api.images.perceptual import perceptual_hash
from ml_api.images.shared_file import SharedFile
from ml_api.stopping import end_with_parent

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

OVERHEAD_BYTES: Final = 64 * 2**20
"""Memory beyond an image's pixels: a decoder's tables, and stacks of its threads."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_TRIM_BYTES: Final = 64 * 2**20
"""Freed memory that glibc keeps for the next image. Without it each image is given new pages, which took a fifth of the time."""
_MMAP_BYTES: Final = 32 * 2**20
"""Larger allocations go back to the system when they are freed. It is the most that glibc allows."""
_RESIDENT, _DATA = 1, 5


@dataclass(frozen=True, slots=True)
class Order:
    """What to make of the image in the shared file."""

    size: int
    """Bytes of the file."""
    limits: ImageLimits
    """They include the memory that may be allocated."""
    edge_px: int
    fit: Fit | None
    """Makes a model's input of the picture; None makes a thumbnail of `edge_px`."""
    cpu_s: float
    """Limit on processor time, in seconds."""
    crop: Crop | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """Describes the content of the shared file after decoding: `size` bytes of pixels, or of a thumbnail."""

    size: int
    shape: tuple[int, ...]
    """The shape of the pixels, (height, width, 3); () for a thumbnail."""
    format: str
    width: int
    height: int
    resident_bytes: int
    """Memory that the decoding process occupies after the image."""
    phash: str
    """The perceptual hash; empty for a thumbnail."""


def serve(shared: SharedFile, orders: "Connection") -> None:
    """Run a decoding process: send None when ready, then answer orders until the other end of the pipe is closed.

    Each answer is a `Result`, or the exception that the parent is to raise.
    """
    _begin()
    with suppress(EOFError, BrokenPipeError):
        orders.send(None)
        while True:
            orders.send(_answer(orders.recv(), shared))


def _answer(order: Order, shared: SharedFile) -> Result | Exception:
    try:
        return run(order, shared)
    except Exception as exc:  # noqa: BLE001 - it is raised where the order came from
        return exc


def _begin() -> None:
    _silence()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    end_with_parent()
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):  # glibc
            libc.mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES)
            libc.mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES)
            libc.mallopt(_M_ARENA_MAX, 2)


def _silence() -> None:
    """Discard stdout and stderr: C libraries print a remark for each fault of a damaged file, amid the service's JSON log lines."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for output in (1, 2):
        os.dup2(nowhere, output)
    os.close(nowhere)


def run(order: Order, shared: SharedFile) -> Result:
    """Execute one order. Raises InvalidInput."""
    try:
        with bounded(order.cpu_s, (order.limits.max_memory_bytes or 0) + order.size):
            return _made(order, shared)
    except MemoryError:
        pass  # until this block is left, the error holds all that was allocated: there may be no memory to say so
    raise TooCostly("Decoding the image takes more memory than is allowed")


@contextmanager
def bounded(cpu_s: float, memory_bytes: int) -> Iterator[None]:
    """Limit time and memory beyond what this process has used already. More memory raises MemoryError, or aborts the process; more
    time ends it by SIGXCPU."""
    _, most_s = resource.getrlimit(resource.RLIMIT_CPU)
    _, most_bytes = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_CPU, (ceil(time.process_time() + cpu_s), most_s))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_DATA, (_memory(_DATA) + memory_bytes + OVERHEAD_BYTES, most_bytes))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_CPU, (most_s, most_s))
        resource.setrlimit(resource.RLIMIT_DATA, (most_bytes, most_bytes))


def _made(order: Order, shared: SharedFile) -> Result:
    decoded = decode(shared.take(order.size), order.limits, for_edge_px=order.edge_px, crop=order.crop)
    made: bytes | memoryview
    shape: tuple[int, ...] = ()
    phash = ""
    if order.fit is None:
        made = thumbnail(decoded.image, order.edge_px)
    else:
        pixels = order.fit.apply(decoded.image)
        made, shape = pixels.data.cast("B"), pixels.shape
        phash = perceptual_hash(decoded.image)
    return Result(shared.put(made), shape, decoded.format, decoded.width, decoded.height, _memory(_RESIDENT), phash)


def _memory(column: int) -> int:
    """A column of /proc/self/statm, in bytes; 0 where there is none."""
    if sys.platform != "linux":
        return 0
    return int(os.pread(_statm(), 256, 0).split()[column]) * os.sysconf("SC_PAGE_SIZE")


@cache
def _statm() -> int:
    """The descriptor of /proc/self/statm, which stays open: it is read twice for each image, and opening takes longer than
    reading."""
    return os.open("/proc/self/statm", os.O_RDONLY)
