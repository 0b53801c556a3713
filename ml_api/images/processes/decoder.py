"""Decodes each image in a process that does nothing else meanwhile, within bounds that hold whatever a file does to its decoder.

The processes are kept and used again, the one used last first.
"""

import logging
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Final

import numpy as np

from ml_api.deadline import Deadline
from ml_api.errors import InvalidImage, MlApiError, Overloaded, TooCostly, Unavailable
from ml_api.images.base import FittedImage
from ml_api.images.cropping import Crop
from ml_api.images.decoding import ImageLimits
from ml_api.images.exif import read_exif
from ml_api.images.fit import Fit
from ml_api.images.processes.child import Child, WorkerCrashed, WorkerLost, prepare
from ml_api.images.processes.job import Job
from ml_api.images.processes.slots import SMALL_BYTES, Slot, Slots
from ml_api.images.worker import Order, Result
from ml_api.metrics.process import DecodingMetrics

MAX_PROCESSES: Final = 8
_QUICK_S: Final = 0.25
_QUICK_BESIDE_OTHERS_S: Final = 0.1
"""Processor time after which decoding goes on at low priority; the second holds while other images wait. Photographs are decoded
within the first, most of them within the second."""
_LOOK_EVERY_S: Final = 0.05
_OUT_OF_MEMORY: Final = {signal.SIGABRT, signal.SIGTRAP, signal.SIGKILL}
"""Signals that end a process whose libraries cannot allocate memory, or that the system's OOM killer chooses."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of decoding: the number of processes, bytes of memory for all images together, and seconds for one image.

    The seconds are wall-clock time from the arrival for an image of a request, and processor time for one of a sync.
    """

    processes: int
    memory_bytes: int
    time_s: float

    @property
    def slots(self) -> int:
        return max(1, min(self.processes, MAX_PROCESSES, self.memory_bytes // SMALL_BYTES))


class ProcessDecoder:
    """A `Decoder`. It starts the fork server at once, and decoding processes when there are images to decode."""

    def __init__(self, limits: ImageLimits, bounds: Bounds, metrics: DecodingMetrics, *, exif: bool = False) -> None:
        """With `exif`, `exif_metadata` reads Exif fields."""
        self.limits = limits
        self._exif = exif
        self._bounds = bounds
        self._metrics = metrics
        self._slots = Slots(bounds.slots, bounds.memory_bytes, bounds.time_s)
        metrics.memory.set_function(self._slots.held_bytes)
        self._lock = threading.Lock()
        self._idle: list[Child] = []
        self._ending: set[threading.Thread] = set()
        self._closed = False
        prepare()

    def decode(self, data: bytes, fit: Fit, deadline: Deadline | None = None, crop: Crop | None = None) -> FittedImage:
        result, made = self._made(Job(data, self._order(data, fit.edge_px, fit, crop), deadline))
        pixels = np.frombuffer(made, np.uint8).reshape(result.shape)
        return FittedImage(pixels, result.format, result.width, result.height, result.phash)

    def exif_metadata(self, data: bytes) -> Mapping[str, Any]:
        return read_exif(data) if self._exif else {}

    def thumbnail(self, data: bytes, edge_px: int, deadline: Deadline | None = None) -> bytes:
        return self._made(Job(data, self._order(data, edge_px), deadline))[1]

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            ending = [*self._ending]
        for child in idle:
            child.close()
        for thread in ending:
            thread.join()

    def _order(self, data: bytes, edge_px: int, fit: Fit | None = None, crop: Crop | None = None) -> Order:
        self.limits.check_bytes(len(data))
        return Order(len(data), replace(self.limits, max_memory_bytes=SMALL_BYTES), edge_px, fit, self._bounds.time_s, crop)

    def _made(self, job: Job) -> tuple[Result, bytes]:
        try:
            return self._in_small_or_big(job)
        except TooCostly as exc:
            self._metrics.refused.labels(exc.lacking).inc()
            raise
        except Overloaded:
            self._metrics.refused.labels("busy").inc()
            raise

    def _in_small_or_big(self, job: Job) -> tuple[Result, bytes]:
        """Decode in a small slot, and again in a big one if the process finds, by the image's header, that it takes more memory."""
        try:
            return self._in_some_process(job)
        except TooCostly as exc:
            if not exc.needed_bytes:
                raise
            big = replace(self.limits, max_memory_bytes=min(exc.needed_bytes, self._bounds.memory_bytes))
        job.order = replace(job.order, limits=big)
        return self._in_some_process(job)

    def _in_some_process(self, job: Job) -> tuple[Result, bytes]:
        """Decode; if the process is lost, as when somebody kills it, decode once more in another one."""
        for last in (False, True):
            slot = self._slot(job)
            try:
                return self._in_slot(slot, job)
            except WorkerLost as exc:
                _log.warning("%s", exc)
                if perf_counter() >= job.until:
                    raise job.too_busy() from exc
            except WorkerCrashed as exc:
                _log.warning("%s", exc)
                if last or not exc.for_no_fault:
                    raise self._blamed(exc, job) from exc
        raise Unavailable("No process can be started to decode the image in; try again later.", code="decoding-unavailable")

    def _slot(self, job: Job) -> Slot:
        """Raises Overloaded, DeadlineExceeded."""
        size = job.order.limits.max_memory_bytes or SMALL_BYTES
        asked = perf_counter()
        try:
            return self._slots.acquire(size, job.until, background=job.background)
        except Overloaded:
            if job.deadline is not None and job.deadline.passed:
                raise job.deadline.exceeded() from None
            raise
        finally:
            job.waited_s += perf_counter() - asked

    def _in_slot(self, slot: Slot, job: Job) -> tuple[Result, bytes]:
        """Decode in the slot, and release it. Raises WorkerLost, WorkerCrashed, and the errors of `Decoder.decode`."""
        child = None
        try:
            child = self._child(job.until)
            result = self._awaited(child, slot, job)
            return result, child.take(result)
        finally:
            self._done(child, slot)

    def _awaited(self, child: Child, slot: Slot, job: Job) -> Result:
        pending = child.ask(job.order, job.data)
        while True:
            try:
                return pending(max(0.0, min(_LOOK_EVERY_S, job.until - perf_counter())))
            except TimeoutError:
                self._check_time(child, slot, job)

    def _check_time(self, child: Child, slot: Slot, job: Job) -> None:
        used_s, share_s = child.used_s(), self._slots.share_s(slot)
        if used_s >= (_QUICK_S if share_s >= self._bounds.time_s else _QUICK_BESIDE_OTHERS_S):
            child.slow_down()
        try:
            job.check_time(used_s, share_s)
        except MlApiError:
            child.end_reason = "stopped"
            raise

    def _blamed(self, crash: WorkerCrashed, job: Job) -> MlApiError:
        """The error for a file whose decoder crashed."""
        if crash.signal == signal.SIGXCPU:
            return job.too_slow()
        if crash.signal in _OUT_OF_MEMORY:
            return TooCostly("Decoding the image takes more memory than is allowed")
        self._metrics.refused.labels("crash").inc()
        return InvalidImage("The file makes its decoder crash; save the picture anew.", code="image-damaged")

    def _child(self, until: float) -> Child:
        """An idle process, or a new one. Raises WorkerLost."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return Child(until)

    def _done(self, child: Child | None, slot: Slot) -> None:
        """Release the slot: at once if its process can be used again, else when the process has ended."""
        if child is None:
            self._slots.release(slot)
            return
        with self._lock:
            if not child.end_reason and not self._closed:
                self._idle.append(child)
                self._slots.release(slot)
                return
            thread = threading.Thread(target=self._end, args=(child, slot), name="decoding-end")
            self._ending.add(thread)
            thread.start()
        self._metrics.ended.labels(child.end_reason or "renewed").inc()

    def _end(self, child: Child, slot: Slot) -> None:
        try:
            child.close()
        finally:
            self._slots.release(slot)
            with self._lock:
                self._ending.discard(threading.current_thread())
