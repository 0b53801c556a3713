"""How a command ends that is told to, by Ctrl-C or SIGTERM: at any moment, with one line, without a traceback.

A handler that raises would do so anywhere, in the midst of a library's cleaning up, too. So a signal sets a flag while somebody
looks at it, and otherwise ends the process at once: as `kill -9` does, which everything here has to bear anyway.
"""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)

Handler = Callable[[int, FrameType | None], None]


def leave_at_once() -> None:
    """For the time in which modules are loaded: end without a word, with the exit code that shells give to the signal."""
    _handle(lambda number, _frame: os._exit(128 + number))


class Stop:
    """What tells a command to stop. While it is `gentle` the first signal is only noted in `signal`."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self.gentle = False
        self.reached = "before anything was indexed"
        """How far the command has come, for the message."""

    def __enter__(self) -> Self:
        _handle(self._on_signal)
        return self

    def __exit__(self, *_error: object) -> None:
        leave_at_once()

    @property
    def message(self) -> str:
        return f"stopped {self.reached}; run it again to go on"

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self.gentle and self.signal is None:
            self.signal = number
            return
        with suppress(OSError):  # not through sys.stderr: this may have interrupted it
            os.write(2, f"{self.message}\n".encode())
        os._exit(128 + number)


def _handle(handler: Handler) -> None:
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as `nohup` and a shell's background jobs have it
            signal.signal(number, handler)
