"""`python -m ml_api` and the command `ml-api` of an installed package."""

import os
import sys

from ml_api.collector import collect_seldom
from ml_api.stopping import leave_at_once


def main() -> int:
    _open_standard_streams()
    leave_at_once()  # before anything is loaded that takes time
    collect_seldom()
    from ml_api import cli

    return cli.main()


def _open_standard_streams() -> None:
    """On /dev/null, what a supervisor or a shell (`<&- >&-`) has closed: its number would go to the next file or connection, and
    what is printed would go there."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode)  # noqa: PTH123, SIM115 - for the life of the process
            os.set_inheritable(stream.fileno(), True)  # noqa: FBT003 - the standard library's signature
            setattr(sys, name, stream)


if __name__ == "__main__":
    sys.exit(main())
