"""What a command found or did: plain text on the standard output. Logs, progress and errors are on the standard error output."""

import os
import sys
from typing import TextIO


def tell(line: str) -> None:
    """Of what goes on whether or not anybody reads of it, as a migration does."""
    try:
        print(line, flush=True)  # noqa: T201 - the output of the command
    except BrokenPipeError:
        discard(sys.stdout)


def discard(*streams: TextIO) -> None:
    """What is written to them goes nowhere, also what still waits to be."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
