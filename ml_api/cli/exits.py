"""The exit codes of the commands, declared once for the code, `--help` and docs/operations.md."""

from enum import IntEnum
from typing import Self


class Exit(IntEnum):
    DONE = (
        0,
        "success; `sync` also if some files or folders could not be read, which it reports; `serve`: stopped by a signal",
    )
    FAILED = 1, "failure at run time, for `sync` also if the model failed for every image; what was written until then is kept"
    MISCONFIGURED = 2, "invalid settings or command line; every problem is reported, one a line, and nothing was started"
    REFUSED = 3, "`sync` only: refused because it looks like an accident; nothing was changed, and the message says how to continue"
    INTERRUPTED = 130, "`sync` only: stopped by Ctrl-C; what was indexed until then is kept, and the next sync continues"
    TERMINATED = 143, "`sync` only: stopped by SIGTERM; otherwise as 130"

    meaning: str

    def __new__(cls, code: int, meaning: str) -> Self:
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member


def exits_table() -> str:
    """The table in docs/operations.md."""
    return "\n".join(["| Exit code | Meaning |", "|---|---|", *(f"| {code.value} | {code.meaning} |" for code in Exit)])
