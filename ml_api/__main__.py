"""`python -m ml_api` and the command `ml-api` of an installed package."""

import sys

from ml_api.collector import collect_seldom
from ml_api.stopping import leave_at_once


def main() -> int:
    leave_at_once()  # before anything is loaded that takes time
    collect_seldom()
    from ml_api import cli

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
