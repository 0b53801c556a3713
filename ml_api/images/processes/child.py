"""One decoding process, by pebble: a pool of one, so that what happens to it happens to nobody else."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import forkserver, get_context, resource_tracker
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import Final

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from ml_api import stopping
from ml_api.images import worker
from ml_api.images.handover import Handover
from ml_api.images.worker import Order, Result

_SLOW: Final = 10
"""Niceness: a ninth of the time that others get on a busy core."""
_CPU_CLOCK: Final = 2
"""CPUCLOCK_SCHED: with a process's number it makes the number of its clock, as clock_getcpuclockid(3) does."""
_SERVED: Final = 5_000
_RESIDENT_BYTES: Final = 200 * 2**20
"""A process that has decoded so many images, or still holds so much after one, is replaced."""
_PRELOADED: Final = ["pebble", "ml_api.images.worker", "pillow_heif"]
"""Not pyvips: libvips starts a thread, which a fork would not copy."""


class WorkerLost(Exception):
    """The process is gone, or cannot be started, for no fault of a file's."""


class WorkerCrashed(Exception):
    """The process ended while it decoded. `signal` is 0 if it ended of its own accord."""

    def __init__(self, code: int) -> None:
        super().__init__(f"A decoding process ended while it decoded, with {code}; another one is started.")
        self.signal = max(0, -code)
        self.for_no_fault = code >= 0 or self.signal == signal.SIGKILL
        """Decoders end their process by a signal, and not by SIGKILL. Its end is told as 255 when what forked it has ended."""


class _Killable(ForkServerProcess):
    """A decoder does not hear a request to end, and has nothing to finish."""

    def terminate(self) -> None:
        self.kill()


class _Context(ForkServerContext):
    """Children are forked from a process that has imported what decoding needs and nothing else, and has one thread.

    A fork of the service itself would copy locks that its other threads hold.
    """

    Process = _Killable


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Processes started here, also by threads started here, do not hear who stops the service, which still answers what was asked.

    A terminal and systemd tell all processes. A mask holds from the first instant; what a process says to ignore, only once it has
    imported what it needs.
    """
    get_context("forkserver").set_forkserver_preload(_PRELOADED)
    resource_tracker.ensure_running()  # starts a process that looks after itself, and takes the mask back
    before = signal.pthread_sigmask(signal.SIG_BLOCK, stopping.SIGNALS)
    try:
        forkserver.ensure_running()
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def prepare() -> None:
    """Start what forks the processes, which imports what decoding needs (0.3 s) while the caller goes on."""
    with _undisturbed():
        pass


class Child:
    """Serves one caller at a time."""

    def __init__(self, until: float) -> None:
        """Wait for its start until then, on the clock of `perf_counter`. Raises WorkerLost."""
        self._handover = Handover()
        self._pool = ProcessPool(1, initializer=worker.begin, initargs=(self._handover,), context=_Context())
        self._served = 0
        self.end_reason = ""
        """Why it is not to be asked again; empty if it is."""
        try:
            with _undisturbed():
                self._pid = self._pool.schedule(os.getpid).result(max(0.0, until - time.perf_counter()))
        except (TimeoutError, OSError, RuntimeError) as exc:  # those of pebble are among them
            self.close()
            raise WorkerLost(f"A decoding process could not be started{f': {exc}' if str(exc) else ' in time'}.") from exc

    def ask(self, order: Order, data: bytes) -> Callable[[float], Result]:
        """What waits so many seconds for the result: raises TimeoutError, InvalidInput, WorkerCrashed, WorkerLost."""
        self._served += 1
        self._used_before_s = self._clock_s()
        try:
            self._handover.put(data)
            future = self._pool.schedule(worker.run, args=(order,))
        except (OSError, RuntimeError) as exc:
            self.end_reason = "lost"
            raise WorkerLost("A decoding process has ended; another one is started.") from exc
        return lambda timeout_s: self._answer(future, timeout_s)

    def take(self, result: Result) -> bytes:
        """What it made, once."""
        made = self._handover.take(result.size)
        self._handover.shrink()
        if self._served >= _SERVED or result.resident_bytes > _RESIDENT_BYTES:
            self.end_reason = self.end_reason or "renewed"
        return made

    def used_s(self) -> float:
        """For how long a core has worked on what it was asked."""
        return self._clock_s() - self._used_before_s

    def _clock_s(self) -> float:
        try:
            return time.clock_gettime(~self._pid << 3 | _CPU_CLOCK)
        except (OSError, AttributeError):  # it is gone; or a system where only the wall's clock is known
            return time.perf_counter()

    def slow_down(self) -> None:
        """Let everybody else go first from now on, which cannot be taken back."""
        if not self.end_reason:
            self.end_reason = "renewed"
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, self._pid, _SLOW)

    def close(self) -> None:
        """Kill it, whatever it does, and wait until it is gone."""
        self._pool.stop()  # type: ignore[no-untyped-call]  # pebble annotates most of what it has, not this
        self._pool.join()
        self._handover.close()

    def _answer(self, future: "ProcessFuture[Result]", timeout_s: float) -> Result:
        try:
            return future.result(timeout_s)
        except ProcessExpired as exc:
            self.end_reason = "crashed"
            raise WorkerCrashed(exc.exitcode) from exc
        except (BrokenProcessPool, CancelledError) as exc:
            self.end_reason = "lost"
            raise WorkerLost("A decoding process has ended; another one is started.") from exc
