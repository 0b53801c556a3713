"""Servers as child processes, for `make monitor`, tests and benchmarks: free ports, start, wait until they answer, log, stop."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from types import TracebackType
from typing import Final, Self

HOST: Final = "127.0.0.1"
ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""They ask for the end. The last comes when the terminal is closed."""
START_TIMEOUT_S: Final = 180.0
STOP_TIMEOUT_S: Final = 60.0
DIRECTLY: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Whatever proxy the environment names: what is asked runs here."""

_PORTS: Final = (10_000, 32_000)
_LOG_TAIL: Final = 3000


class StartFailed(Exception):
    """A server that ended, or was not ready in time. The message ends with the end of its log."""


def free_ports(count: int) -> list[int]:
    """Different ones, below those that systems give to outgoing connections: nothing takes them while a server starts."""
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < count:
            probe = held.enter_context(socket.socket())
            with suppress(OSError):
                probe.bind((HOST, random.randint(*_PORTS)))  # noqa: S311 - a port is no secret
                found.append(probe.getsockname()[1])
    return found


def free_port(usual: int | None = None) -> int:
    """The usual one if it is free, else any that is."""
    if usual is not None:
        with suppress(OSError), socket.create_server((HOST, usual)):
            return usual
    return free_ports(1)[0]


def answers(url: str) -> bool:
    """Whether an HTTP server answers there with success."""
    try:
        with DIRECTLY.open(url, timeout=5):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return False
    except (OSError, HTTPException):
        return False


def listens(port: int) -> bool:
    """Whether a server takes connections there."""
    try:
        socket.create_connection((HOST, port), 1).close()
    except OSError:
        return False
    return True


def heeded() -> list[signal.Signals]:
    """Those of ENDING that end this process: under nohup, not SIGHUP. A shell lets its background jobs ignore SIGINT, but whoever
    sends it to one of them by its number means it."""
    return [number for number in ENDING if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN]


@contextmanager
def undisturbed() -> Iterator[None]:
    """Signals that ask for the end are heeded only afterwards: in the middle of starting a child they would leave it behind.

    In the main thread.
    """
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in heeded()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in came:
            signal.raise_signal(late)


def bound(command: Sequence[str | Path]) -> Sequence[str | Path]:
    """The command, which Linux kills when the thread that starts it ends, in whatever way.

    By util-linux's setpriv, which becomes the command: a `preexec_fn` may hang in a process of several threads.
    """
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    return [setpriv, "--pdeathsig", "KILL", "--", *command] if setpriv else command


class ServerProcess:
    """One server. Use as a context: it is ready inside, and gone after. It can be started again after its end.

    It leads a process group of its own, so that a terminal's Ctrl-C reaches only its parent, which then stops it in order. A parent
    that is killed takes it along.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        ready: Callable[[], bool] = lambda: True,
        *,
        log: Path | None = None,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Without a `log` file it writes where this process does. `env` is all of its environment; this process's unless given."""
        self.log_path = log
        self._command = command
        self._ready = ready
        self._cwd = cwd
        self._env = env
        self._process: subprocess.Popen[bytes] | None = None
        self._runs = False

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The one launched last."""
        assert self._process is not None, "it was not launched"
        return self._process

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when it is ready. Raises StartFailed if it does not become so; then nothing of it is left."""
        try:
            self.launch()
            self._wait_until_ready()
        except BaseException:  # a Ctrl-C among them
            if self._runs:
                self.stop()
                self._signal(signal.SIGKILL)  # what it started may outlive it
            raise

    def launch(self) -> None:
        """Without waiting until it is ready."""
        with ExitStack() as stack:
            output = stack.enter_context(self.log_path.open("ab")) if self.log_path else None
            stack.enter_context(undisturbed())
            self._process = subprocess.Popen(  # noqa: S603 - our own words
                bound(self._command), cwd=self._cwd, env=self._env, stdout=output, stderr=output, start_new_session=True
            )
            self._runs = True

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int | None:
        """Send it a signal and wait for its end; kill it if that takes too long. Returns its exit code, if it was ever started."""
        if self._runs:
            if self.process.poll() is None:
                self.process.send_signal(how)
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.kill()
            self._runs = False
        return self._process.returncode if self._process else None

    def kill(self) -> None:
        """At once, with all of its processes."""
        if self._runs:
            self._signal(signal.SIGKILL)
            self.process.wait()
            self._runs = False

    def pause(self) -> None:
        """Hang it: it keeps its connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path and self.log_path.exists() else ""

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise StartFailed(f"{self._command[0]} did not start; end of its log:\n{self.log()[-_LOG_TAIL:]}")
            time.sleep(0.05)
