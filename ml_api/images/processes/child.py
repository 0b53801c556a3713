"""One decoding process, which nobody else shares: orders and answers through a pipe, files and pixels through a `Handover`."""

import atexit
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from multiprocessing import connection, forkserver, get_context, resource_tracker
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
"""Longest wait for the end of a process that was killed or has closed its pipe, and for its exit code."""
_SERVED: Final = 5_000
_RESIDENT_BYTES: Final = 200 * 2**20
"""A process that has decoded so many images, or still holds so much after one, is replaced."""
_PRELOADED: Final = ["ml_api.images.worker", "pillow_heif"]
"""Not pyvips: libvips starts a thread, which a fork would not copy."""

_log = logging.getLogger(__name__)
_multiprocessing = threading.Lock()
"""Held while a process is started or its exit code is read: each start reads the exit codes of all processes that have ended,
a code can be read once only, and a second reader takes it for 255."""


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


@contextmanager
def _alone(until: float) -> Iterator[None]:
    """Raises TimeoutError if others use `multiprocessing` until then, on the clock of `perf_counter`."""
    if not _multiprocessing.acquire(timeout=max(0.0, until - time.perf_counter())):
        raise TimeoutError
    try:
        yield
    finally:
        _multiprocessing.release()


def prepare() -> None:
    """Start what forks the processes, which imports what decoding needs (0.3 s) while the caller goes on."""
    with _undisturbed():
        pass


class Child:
    """Serves one caller at a time."""

    def __init__(self, until: float) -> None:
        """Wait for its start until then, on the clock of `perf_counter`. Raises WorkerLost.

        The answer of the fork server itself, its process number, is waited for without a limit: should the fork server hang, the
        one caller that asked it waits on, and all others are told in time.
        """
        self._served = 0
        self.end_reason = ""
        """Why it is not to be asked again; empty if it is."""
        self._held = ExitStack()
        try:
            self._start(until)
            self._receive(until - time.perf_counter())
        except (EOFError, OSError) as exc:  # TimeoutError is one
            self.close()
            raise WorkerLost(f"A decoding process could not be started{f': {exc}' if str(exc) else ' in time'}.") from exc

    def _start(self, until: float) -> None:
        """Raises EOFError, OSError; what was opened by then is closed by `close`."""
        context = get_context("forkserver")
        self._handover = self._held.enter_context(closing(Handover()))
        self._pipe, theirs = context.Pipe()
        self._held.enter_context(self._pipe)
        with theirs, _alone(until), _undisturbed():
            self._process = context.Process(target=worker.serve, args=(self._handover, theirs), name="decoding")
            self._process.start()
        self._held.callback(self._end)
        self._pid = self._process.pid or 0
        atexit.register(self._kill)  # before multiprocessing waits for it to end of its own accord

    def ask(self, order: Order, data: bytes) -> Callable[[float], Result]:
        """Returns a function that waits so many seconds for the result.

        That raises TimeoutError, InvalidInput, WorkerCrashed, WorkerLost; `ask` itself raises WorkerLost.
        """
        self._served += 1
        self._asked, self._core_before_s, self._used_s = time.perf_counter(), self._core_s(), 0.0
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
        if self._core_before_s is None:  # a system where only the wall's clock is known
            return time.perf_counter() - self._asked
        now_s = self._core_s()
        if now_s is not None:
            self._used_s = now_s - self._core_before_s
        return self._used_s

    def _core_s(self) -> float | None:
        """None if it has ended, and on systems that do not tell."""
        try:
            return time.clock_gettime(~self._pid << 3 | _CPU_CLOCK)
        except (OSError, AttributeError):
            return None

    def slow_down(self) -> None:
        """Let everybody else go first from now on, which cannot be taken back.

        Each of its threads, as often as this is called: on Linux niceness is a thread's, and libraries decode in threads of their
        own.
        """
        self.end_reason = self.end_reason or "renewed"
        threads = [self._pid]
        with suppress(OSError):  # it has ended; or a system that has no /proc
            threads = [int(thread.name) for thread in Path(f"/proc/{self._pid}/task").iterdir()]
        for number in threads:
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, number, _SLOW)

    def close(self) -> None:
        """Kill it, whatever it does, and wait until it is gone, though no longer than 5 s."""
        self._held.close()

    def _end(self) -> None:
        atexit.unregister(self._kill)
        self._kill()
        if self._exit_code() is None:
            _log.warning("The decoding process %d has not ended %g s after it was killed; it is left behind.", self._pid, _END_S)

    def _kill(self) -> None:
        """Only while it runs: once it has ended, its number may be another process's."""
        if not self._has_ended(0):
            self._process.kill()

    def _has_ended(self, timeout_s: float) -> bool:
        return bool(connection.wait([self._process.sentinel], timeout_s))

    def _exit_code(self) -> int | None:
        """None if it has not ended in time, or others use `multiprocessing` until then."""
        until = time.perf_counter() + _END_S
        if not self._has_ended(_END_S):
            return None
        with suppress(TimeoutError), _alone(until):
            self._process.join(0)
            return self._process.exitcode
        return None

    def _answer(self, timeout_s: float) -> Result:
        try:
            answer = self._receive(timeout_s)
        except (EOFError, ConnectionError) as exc:
            code = self._exit_code()
            if code is None:
                raise self._lost() from exc
            self.end_reason = "crashed"
            raise WorkerCrashed(code) from exc
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
