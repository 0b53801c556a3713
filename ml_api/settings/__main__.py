"""`python -m ml_api.settings`: whether `serve` could start, which `make serve` asks before it indexes for minutes.

Problems are reported under make's names for settings: PORT=, METRICS_PORT=, CORPUS=.
"""

import re
import sys

from ml_api.errors import ConfigError
from ml_api.settings import ENV_FILE, environment_name, load_settings, option_name

NAMED_BY_MAKE = ("port", "metrics_port", "corpus")


def main() -> int:
    try:
        load_settings(env_file=ENV_FILE, command="serve")
    except ConfigError as exc:
        print(*(f"error: {_by_make(problem)}" for problem in exc.problems), sep="\n", file=sys.stderr)  # noqa: T201 - a message for the user
        return 2
    return 0


def _by_make(problem: str) -> str:
    for field in NAMED_BY_MAKE:
        name = rf"({option_name(field)} or )?{environment_name(field)}\b(?! in )"
        problem = re.sub(name, field.upper(), problem)
    return problem


if __name__ == "__main__":
    sys.exit(main())
