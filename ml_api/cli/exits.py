"""The exit codes of the commands, declared once for the code, `--help` and docs/operations.md."""

import signal
import sys
from enum import IntEnum
from typing import Self

from ml_api.stopping import Stop


class Exit(IntEnum):
    DONE = 0, "success, also if some files or rows could not be read, which is reported; `serve`: stopped by a signal"
    FAILED = 1, "failure at run time, also if the model failed for every image; what was written until then is kept"
    MISCONFIGURED = 2, "invalid settings or command line; every problem is reported, one a line, and nothing was started"
    REFUSED = (
        3,
        (
            "refused: it looks like an accident (`sync`, `migrate`), or the service does other work just now; what is indexed was "
            "not changed, and the message says how to continue"
        ),
    )
    INTERRUPTED = 130, "stopped by Ctrl-C, all but `serve`; what was done until then is kept, and the same command continues"
    UNREAD = 141, "the reader of the output has closed it, as `head` does; commands that only read end silently"
    TERMINATED = 143, "stopped by SIGTERM; otherwise as 130"

    meaning: str

    def __new__(cls, code: int, meaning: str) -> Self:
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member


def stopped(stop: Stop, message: str = "") -> Exit:
    """Tell the person who stopped the command how far it came."""
    print(message or stop.message, file=sys.stderr)  # noqa: T201 - a message for that person
    return Exit.INTERRUPTED if stop.signal == signal.SIGINT else Exit.TERMINATED


def exits_table() -> str:
    """The table in docs/operations.md."""
    return "\n".join(["| Exit code | Meaning |", "|---|---|", *(f"| {code.value} | {code.meaning} |" for code in Exit)])
