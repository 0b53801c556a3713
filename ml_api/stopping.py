"""How processes end: a command by Ctrl-C or SIGTERM, at any moment, with one line, without a traceback; a child with its parent.

A signal handler that raises could interrupt a library's cleanup anywhere. So a signal sets a flag while the command checks it, and
otherwise ends the process at once, as `kill -9` does, which every part has to survive anyway.
"""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Final, Self

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_PR_SET_PDEATHSIG: Final = 1

Handler = Callable[[int, FrameType | None], None]


def end_with_parent(parent: int | None = None) -> None:
    """Have the kernel kill this process when its parent ends in any way (prctl(2); Linux only).

    The parent is the thread that started this process, so that thread has to outlive it. With the number of the parent's process, a
    parent that has ended already ends this process, too.
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if parent is not None and os.getppid() != parent:
        sys.exit(1)


def leave_at_once() -> None:
    """While modules are loaded: a signal ends the process silently, with the exit code that shells give it."""
    _handle(lambda number, _frame: os._exit(128 + number))


class Stop:
    """The request to stop a command. While `gentle` is true the first signal is only recorded in `signal`."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self.gentle = False
        self.reached = "before anything was indexed"
        """The command's progress, for the message."""

    def __enter__(self) -> Self:
        _handle(self._on_signal)
        return self

    def __exit__(self, *_error: object) -> None:
        leave_at_once()

    def reach(self, done: int, total: int) -> None:
        """So far it has come; from now on there may be a batch to finish."""
        self.gentle = True
        self.reached = f"after {done:,} of {total:,}"

    @property
    def message(self) -> str:
        return f"stopped {self.reached}; run it again to go on"

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self.gentle and self.signal is None:
            self.signal = number
            return
        with suppress(OSError):  # not through sys.stderr, which this may have interrupted
            os.write(2, f"{self.message}\n".encode())
        os._exit(128 + number)


def _handle(handler: Handler) -> None:
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # ignored under `nohup` and in a shell's background jobs
            signal.signal(number, handler)
