"""The results of commands, as plain text on the standard output. Logs, progress and errors go to the standard error output."""

import os
import sys
from typing import TextIO


def tell(line: str) -> None:
    """Print a line of a command that goes on if its output is closed, such as a migration."""
    try:
        print(line, flush=True)  # noqa: T201 - the output of the command
    except BrokenPipeError:
        discard(sys.stdout)


def discard(*streams: TextIO) -> None:
    """Discard everything that is written to these streams, including buffered text."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
