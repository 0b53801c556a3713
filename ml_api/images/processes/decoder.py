"""Every image in a process of its own for as long as it is decoded, within bounds that hold whatever a file does to its decoder."""

import logging
import signal
import threading
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Final

from PIL import Image

from ml_api.deadline import Deadline
from ml_api.errors import InvalidImage, MlApiError, Overloaded, TooCostly, Unavailable
from ml_api.images.decoding import DecodedImage, ImageLimits
from ml_api.images.processes.child import Child, Crashed, Lost, prepare
from ml_api.images.processes.places import SMALL_BYTES, Places, Turn
from ml_api.images.worker import Order, Result
from ml_api.metrics.decoding import DecodingMetrics

MOST_PROCESSES: Final = 8
_QUICK_S: Final = 0.25
"""Of a core: photographs are decoded by then. What takes longer goes on behind all else that the machine has to do."""
_LOOK_EVERY_S: Final = 0.1
_PATIENCE: Final = 15
"""Nobody waits for a sync: on a busy machine its images may take so many times their limit on the clock, though not of a core."""
_OWN_SHARE: Final = 0.25
"""Of the limit, on a core: a sound AVIF of 50 megapixels takes 0.7 s. Who had it may be stopped for others' sake, as too costly."""
_OUT_OF_MEMORY: Final = {signal.SIGABRT, signal.SIGTRAP, signal.SIGKILL}
"""What ends a process whose libraries cannot allocate, or whose size the system does not bear."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What decoding may take: processes, bytes of memory for all images at once, and seconds for one.

    The seconds are, for a request, those of the clock from its arrival; for a sync, those of a core.
    """

    processes: int
    memory_bytes: int
    time_s: float

    @property
    def places(self) -> int:
        return max(1, min(self.processes, MOST_PROCESSES, self.memory_bytes // SMALL_BYTES))


@dataclass(slots=True)
class _Work:
    """One image on its way, and how long it is waited for. Moments are on the clock of `perf_counter`."""

    data: bytes
    order: Order
    until: float
    deadline: Deadline | None
    started: float
    waited_s: float = 0.0
    """For a place."""

    def ran_s(self) -> float:
        return perf_counter() - self.started - self.waited_s


class ProcessDecoder:
    """A `Decoder`. What forks the processes is started at once, and they when there is something to decode.

    The one used last is used first.
    """

    def __init__(self, limits: ImageLimits, bounds: Bounds, metrics: DecodingMetrics) -> None:
        self.limits = limits
        self._bounds = bounds
        self._metrics = metrics
        self._places = Places(bounds.places, bounds.memory_bytes, bounds.time_s)
        metrics.memory.set_function(self._places.taken_bytes)
        self._lock = threading.Lock()
        self._idle: list[Child] = []
        self._ending: set[threading.Thread] = set()
        self._closed = False
        prepare()

    def decode(self, data: bytes, for_edge_px: int, deadline: Deadline | None = None) -> DecodedImage:
        result, made = self._made(data, for_edge_px, deadline, preview=False)
        image = Image.frombuffer("RGB", result.pixels, made, "raw", "RGB", 0, 1)
        return DecodedImage(image, result.format, result.width, result.height)

    def thumbnail(self, data: bytes, edge_px: int, deadline: Deadline | None = None) -> bytes:
        return self._made(data, edge_px, deadline, preview=True)[1]

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            ending = [*self._ending]
        for child in idle:
            child.close()
        for thread in ending:
            thread.join()

    def _made(self, data: bytes, edge_px: int, deadline: Deadline | None, *, preview: bool) -> tuple[Result, bytes]:
        self.limits.check_bytes(len(data))
        started = perf_counter()
        until = started + self._bounds.time_s * (_PATIENCE if deadline is None else 1)
        order = Order(len(data), replace(self.limits, max_memory_bytes=SMALL_BYTES), edge_px, preview, self._bounds.time_s)
        try:
            return self._in_small_or_big(_Work(data, order, min(until, deadline.at) if deadline else until, deadline, started))
        except TooCostly as exc:
            self._metrics.refused.labels(exc.lacking).inc()
            raise
        except Overloaded:
            self._metrics.refused.labels("busy").inc()
            raise

    def _in_small_or_big(self, work: _Work) -> tuple[Result, bytes]:
        """Only the process knows how much memory an image takes, from its header: one that takes much comes again with it."""
        try:
            return self._in_some_process(work)
        except TooCostly as exc:
            if not exc.needed_bytes:
                raise
            big = replace(self.limits, max_memory_bytes=min(exc.needed_bytes, self._bounds.memory_bytes))
        work.order = replace(work.order, limits=big)
        return self._in_some_process(work)

    def _in_some_process(self, work: _Work) -> tuple[Result, bytes]:
        """In another one if the first is lost, as when somebody kills it."""
        for last in (False, True):
            turn = self._turn(work)
            try:
                return self._in_turn(turn, work)
            except Lost as exc:
                _log.warning("%s", exc)
                if perf_counter() >= work.until:
                    raise self._too_busy(work) from exc
            except Crashed as exc:
                _log.warning("%s", exc)
                if last or not exc.for_no_fault:
                    raise self._blamed(exc) from exc
        raise Unavailable("No process can be started to decode the image in; try again later.", code="decoding-unavailable")

    def _turn(self, work: _Work) -> Turn:
        """Raises Overloaded, DeadlineExceeded."""
        size = work.order.limits.max_memory_bytes or SMALL_BYTES
        asked = perf_counter()
        try:
            return self._places.take(size, work.until, background=work.deadline is None)
        except Overloaded:
            if work.deadline is not None and work.deadline.passed:
                raise work.deadline.exceeded() from None
            raise
        finally:
            work.waited_s += perf_counter() - asked

    def _in_turn(self, turn: Turn, work: _Work) -> tuple[Result, bytes]:
        """Raises Lost, Crashed, and what the file is to blame for."""
        child = None
        try:
            child = self._child(work.until)
            result = self._awaited(child, turn, work)
            return result, child.take(result)
        finally:
            self._done(child, turn)

    def _awaited(self, child: Child, turn: Turn, work: _Work) -> Result:
        pending = child.ask(work.order, work.data)
        look_s = _QUICK_S
        while True:
            try:
                return pending(max(0.0, min(look_s, work.until - perf_counter())))
            except TimeoutError:
                self._check_time(child, turn, work)
            look_s = _LOOK_EVERY_S

    def _check_time(self, child: Child, turn: Turn, work: _Work) -> None:
        """Raises what an image is answered whose time is up, and gives its process up."""
        ran_s, used_s = work.ran_s(), child.used_s()
        if used_s >= _QUICK_S:
            child.slow_down()
        had_its_share = used_s >= _OWN_SHARE * self._bounds.time_s and (work.deadline is not None or ran_s >= self._bounds.time_s)
        hurried = work.deadline is not None and had_its_share and ran_s >= self._places.share_s(turn)
        if not hurried and perf_counter() < work.until:
            return
        child.fate = "stopped"
        if work.deadline is not None and work.deadline.passed:
            raise work.deadline.exceeded()
        if had_its_share:
            raise self._too_slow()
        raise self._too_busy(work)

    def _blamed(self, crash: Crashed) -> MlApiError:
        """What the file is told whose decoder crashed."""
        if crash.signal == signal.SIGXCPU:
            return self._too_slow()
        if crash.signal in _OUT_OF_MEMORY:
            return TooCostly("Decoding the image takes more memory than is allowed")
        self._metrics.refused.labels("crash").inc()
        return InvalidImage("The file makes its decoder crash; save the picture anew.", code="image-damaged")

    def _too_busy(self, work: _Work) -> MlApiError:
        if work.deadline is not None and work.deadline.passed:
            return work.deadline.exceeded()
        return Overloaded("The machine is too busy to decode the image; try again later, or send a smaller one.")

    def _too_slow(self) -> TooCostly:
        most_s = self._bounds.time_s
        return TooCostly(
            f"Decoding the image takes more than {most_s:g} s, or {_OWN_SHARE * most_s:g} s of a core while others wait",
            lacking="time",
        )

    def _child(self, until: float) -> Child:
        """Raises Lost."""
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return Child(until)

    def _done(self, child: Child | None, turn: Turn) -> None:
        """The place is free when its process is: at once, or when one that is not to be used again is gone."""
        if child is None:
            self._places.give_back(turn)
            return
        with self._lock:
            if not child.fate and not self._closed:
                self._idle.append(child)
                self._places.give_back(turn)
                return
            thread = threading.Thread(target=self._end, args=(child, turn), name="decoding-end")
            self._ending.add(thread)
            thread.start()
        self._metrics.ended.labels(child.fate or "renewed").inc()

    def _end(self, child: Child, turn: Turn) -> None:
        try:
            child.close()
        finally:
            self._places.give_back(turn)
            with self._lock:
                self._ending.discard(threading.current_thread())
