"""Starts, asks and ends one decoding process, for `ProcessDecoder`: orders and answers go through a pipe, files and pixels through
a `SharedFile`."""

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

from ml_api import sockets, stopping
from ml_api.images import worker
from ml_api.images.shared_file import SharedFile
from ml_api.images.worker import Order, Result

_SLOW: Final = 10
"""Niceness: the process gets a ninth of the time of others on a busy core, and they interrupt it when they wake up."""
_CPU_CLOCK: Final = 2
"""CPUCLOCK_SCHED: combined with a process id it is the id of that process's CPU clock, as clock_getcpuclockid(3) makes it."""
_END_S: Final = 5.0
"""Longest wait for the end of a process that was killed or has closed its pipe, and for its exit code."""
_MAX_SERVED: Final = 5_000
_MAX_RESIDENT_BYTES: Final = 200 * 2**20
"""A process that has decoded this many images, or occupies this much memory after one, is replaced."""
_PRELOADED: Final = ["ml_api.images.worker", "pillow_heif"]
"""Not pyvips: libvips starts a thread, which a fork would not copy."""

_log = logging.getLogger(__name__)
_multiprocessing = threading.Lock()
"""Held while a process is started or its exit code is read: each start reads the exit codes of all processes that have ended,
a code can be read only once, and a second reader gets 255."""


class WorkerLost(Exception):
    """The process has ended, or could not be started, and no file is to blame."""


class WorkerCrashed(Exception):
    """The process ended while it decoded. `signal` is 0 if it ended of its own accord."""

    def __init__(self, code: int) -> None:
        super().__init__(f"A decoding process ended while it decoded, with {code}; another one is started.")
        self.signal = max(0, -code)
        self.for_no_fault = code >= 0 or self.signal == signal.SIGKILL
        """Whether the file is not to blame: decoders end their process by a signal, and never by SIGKILL. The exit code is 255 if
        the fork server has ended."""


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Block the signals that stop the service for processes started in this context, as the service still answers its requests.

    A terminal and systemd signal all processes. A signal mask is inherited and holds from the first instant; a handler would hold
    only once the process has imported its modules.

    The processes are forked from a fork server that has imported only what decoding needs, and has one thread: a fork of the
    service itself would copy locks that its other threads hold.
    """
    sockets.place_fork_server()
    get_context("forkserver").set_forkserver_preload(_PRELOADED)
    resource_tracker.ensure_running()  # first, as it starts a process that handles signals itself, and resets the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, stopping.SIGNALS)
    try:
        forkserver.ensure_running()
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _alone(until: float) -> Iterator[None]:
    """Hold the lock of `multiprocessing`. Raises TimeoutError if it is not free at `until`, on the clock of `perf_counter`."""
    left_s = until - time.perf_counter()
    if left_s <= 0 or not _multiprocessing.acquire(timeout=left_s):
        raise TimeoutError
    try:
        yield
    finally:
        _multiprocessing.release()


def prepare() -> None:
    """Start the fork server, which imports what decoding needs (0.3 s) while the caller goes on."""
    with _undisturbed():
        pass


class Child:
    """A decoding process, seen from the service. It serves one caller at a time."""

    def __init__(self, until: float) -> None:
        """Start the process, and wait until it is ready, at most until `until` (on the clock of `perf_counter`). Raises WorkerLost.

        Only the wait for the process id, which the fork server sends, has no limit: if the fork server hangs, the one caller that
        asked it waits on, and all others get an error in time.
        """
        self._served = 0
        self.end_reason = ""
        """Why this process is not to be used again; empty while it may be."""
        self._held = ExitStack()
        try:
            self._start(until)
            self._receive(until - time.perf_counter())
        except (EOFError, OSError) as exc:  # TimeoutError is one
            self.close()
            raise WorkerLost(f"A decoding process could not be started{f': {exc}' if str(exc) else ' in time'}.") from exc

    def _start(self, until: float) -> None:
        """Start the process. Raises EOFError, OSError; `close` then closes what was opened before."""
        context = get_context("forkserver")
        self._shared = self._held.enter_context(closing(SharedFile()))
        self._pipe, theirs = context.Pipe()
        self._held.enter_context(self._pipe)
        with theirs, _alone(until), _undisturbed():
            self._process = context.Process(target=worker.serve, args=(self._shared, theirs), name="decoding")
            self._process.start()
        self._held.callback(self._end)
        self._pid = self._process.pid or 0
        atexit.register(self._kill)  # before multiprocessing waits for it to end of its own accord

    def ask(self, order: Order, data: bytes) -> Callable[[float], Result]:
        """Send an order; return a function that waits for its result, at most the seconds that it is given.

        That function raises TimeoutError, InvalidInput, WorkerCrashed, WorkerLost; `ask` itself raises WorkerLost. Both raise
        InsufficientStorage.
        """
        self._served += 1
        self._asked, self._core_before_s, self._used_s = time.perf_counter(), self._core_s(), 0.0
        try:
            self._shared.put(data)
            self._pipe.send(order)
        except OSError as exc:
            raise self._lost() from exc
        return self._answer

    def take(self, result: Result) -> bytes:
        """Return the bytes of a result. May be called once for each result."""
        made = self._shared.take(result.size)
        self._shared.shrink()
        if self._served >= _MAX_SERVED or result.resident_bytes > _MAX_RESIDENT_BYTES:
            self.end_reason = self.end_reason or "renewed"
        return made

    def used_s(self) -> float:
        """Seconds of processor time spent on the current order."""
        if self._core_before_s is None:  # a system that has only the wall clock
            return time.perf_counter() - self._asked
        now_s = self._core_s()
        if now_s is not None:
            self._used_s = now_s - self._core_before_s
        return self._used_s

    def _core_s(self) -> float | None:
        """Processor time of the process, in seconds; None if it has ended, and on systems that do not tell."""
        try:
            return time.clock_gettime(~self._pid << 3 | _CPU_CLOCK)
        except (OSError, AttributeError):
            return None

    def slow_down(self) -> None:
        """Lower the priority of all its current threads for good; the process is not used again.

        Call it repeatedly: on Linux niceness belongs to a thread, and libraries start threads of their own while they decode.
        """
        self.end_reason = self.end_reason or "renewed"
        threads = [self._pid]
        with suppress(OSError):  # it has ended; or a system that has no /proc
            threads = [int(thread.name) for thread in Path(f"/proc/{self._pid}/task").iterdir()]
        for number in threads:
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, number, _SLOW)

    def close(self) -> None:
        """Kill the process, whatever it does, and wait at most 5 s until it has ended."""
        self._held.close()

    def _end(self) -> None:
        atexit.unregister(self._kill)
        self._kill()
        if self._exit_code() is None:
            _log.warning("The decoding process %d has not ended %g s after it was killed; it is left behind.", self._pid, _END_S)

    def _kill(self) -> None:
        """Kill the process only while it runs: once it has ended, its id may be another process's."""
        if not self._has_ended(0):
            self._process.kill()

    def _has_ended(self, timeout_s: float) -> bool:
        return bool(connection.wait([self._process.sentinel], timeout_s))

    def _exit_code(self) -> int | None:
        """The exit code; None if the process has not ended in time, or the lock of `multiprocessing` is not free by then."""
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
        """The next message of the process. Raises TimeoutError, and EOFError or ConnectionError if the process has ended."""
        if not self._pipe.poll(max(0.0, timeout_s)):
            raise TimeoutError
        return self._pipe.recv()

    def _lost(self) -> WorkerLost:
        self.end_reason = "lost"
        return WorkerLost("A decoding process has ended; another one is started.")
