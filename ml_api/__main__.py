"""`python -m ml_api`: the same as the command `ml-api` of an installed package."""

import sys

from ml_api.cli import main

if __name__ == "__main__":
    sys.exit(main())
