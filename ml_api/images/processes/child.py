"""One decoding process, which nobody else shares: orders and answers through a pipe, files and pixels through a `Handover`."""

import atexit
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from multiprocessing import forkserver, get_context, resource_tracker
from pathlib import Path
from typing import Final, cast

from ml_api import stopping
from ml_api.images import worker
from ml_api.images.handover import Handover
from ml_api.images.worker import Order, Result

_SLOW: Final = 10
"""Niceness: a ninth of the time that others get on a busy core, and who wakes up does not wait for it to finish its slice."""
_CPU_CLOCK: Final = 2
"""CPUCLOCK_SCHED: with a process's number it makes the number of its clock, as clock_getcpuclockid(3) does."""
_END_S: Final = 5.0
"""Longest wait for the exit code of a process that has closed its pipe."""
_SERVED: Final = 5_000
_RESIDENT_BYTES: Final = 200 * 2**20
"""A process that has decoded so many images, or still holds so much after one, is replaced."""
_PRELOADED: Final = ["ml_api.images.worker", "pillow_heif"]
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


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Processes started here do not hear who stops the service, which still answers what was asked.

    They are forked from a process that has imported what decoding needs and nothing else, and has one thread: a fork of the service
    itself would copy locks that its other threads hold.

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
        self._pipe, theirs = get_context("forkserver").Pipe()
        self._process = get_context("forkserver").Process(target=worker.serve, args=(self._handover, theirs), name="decoding")
        atexit.register(self._process.kill)  # before multiprocessing waits for it to end of its own accord
        self._served = 0
        self.end_reason = ""
        """Why it is not to be asked again; empty if it is."""
        try:
            with closing(theirs), _undisturbed():
                self._process.start()
            self._pid = self._process.pid or 0
            self._receive(until - time.perf_counter())
        except (EOFError, OSError) as exc:  # TimeoutError is one
            self.close()
            raise WorkerLost(f"A decoding process could not be started{f': {exc}' if str(exc) else ' in time'}.") from exc

    def ask(self, order: Order, data: bytes) -> Callable[[float], Result]:
        """What waits so many seconds for the result: raises TimeoutError, InvalidInput, WorkerCrashed, WorkerLost."""
        self._served += 1
        self._used_before_s = self._clock_s()
        try:
            self._handover.put(data)
            self._pipe.send(order)
        except OSError as exc:
            raise self._lost() from exc
        return self._answer

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
        """Let everybody else go first from now on, which cannot be taken back.

        Each of its threads, as often as this is called: on Linux niceness is a thread's, and libraries decode in threads of their
        own.
        """
        self.end_reason = self.end_reason or "renewed"
        threads = [int(thread.name) for thread in Path(f"/proc/{self._pid}/task").glob("*")]
        for number in threads or [self._pid]:
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, number, _SLOW)

    def close(self) -> None:
        """Kill it, whatever it does, and wait until it is gone."""
        atexit.unregister(self._process.kill)
        if self._process.pid is not None:
            self._process.kill()
            self._process.join()
        self._pipe.close()
        self._handover.close()

    def _answer(self, timeout_s: float) -> Result:
        try:
            answer = self._receive(timeout_s)
        except (EOFError, ConnectionError) as exc:
            self._process.join(_END_S)
            if self._process.exitcode is None:
                raise self._lost() from exc
            self.end_reason = "crashed"
            raise WorkerCrashed(self._process.exitcode) from exc
        if isinstance(answer, Exception):
            raise answer
        return cast("Result", answer)

    def _receive(self, timeout_s: float) -> object:
        """Raises TimeoutError, and EOFError or ConnectionError of a process that has ended."""
        if not self._pipe.poll(max(0.0, timeout_s)):
            raise TimeoutError
        return self._pipe.recv()

    def _lost(self) -> WorkerLost:
        self.end_reason = "lost"
        return WorkerLost("A decoding process has ended; another one is started.")
