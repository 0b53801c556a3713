"""What the process's exit code says: the one place that tells. `--help` and Introduction.md show it."""

from enum import IntEnum
from typing import Self


class Exit(IntEnum):
    DONE = (
        0,
        "done, `sync` also if some files or folders could not be read or listed, which it tells; for `serve`: ended by a signal",
    )
    FAILED = 1, "a part failed while working, for `sync` also the model for every image; what was written until then is kept"
    MISCONFIGURED = 2, "the settings or the command line cannot work; every problem is told, one a line, and nothing was begun"
    REFUSED = 3, "`sync` only: it looked like an accident, and nothing was changed; the message says how to go on"
    INTERRUPTED = 130, "`sync` only: stopped by Ctrl-C; what was indexed until then is kept, and running it again goes on"
    TERMINATED = 143, "`sync` only: the same, by SIGTERM"

    meaning: str

    def __new__(cls, code: int, meaning: str) -> Self:
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member


def exits_table() -> str:
    """The rows that Introduction.md shows."""
    return "\n".join(["| Exit code | Meaning |", "|---|---|", *(f"| {code.value} | {code.meaning} |" for code in Exit)])
