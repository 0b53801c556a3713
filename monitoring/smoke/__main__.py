"""`python -m monitoring.smoke [--up]`: checks a running stack from end to end. Exit code 0: all well, 1: not, each check says what.

Needs Python and the `docker` command, nothing else. `--up` starts the stack first; without it nothing is started or stopped.
"""

import argparse
import sys
from collections.abc import Callable

from monitoring.client import Failure, patiently
from monitoring.smoke import checks
from monitoring.smoke.stack import Stack


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m monitoring.smoke", description="Check the running stack of docker-compose.yml."
    )
    parser.add_argument("--up", action="store_true", help="start it first (docker compose up --detach)")
    parser.add_argument("--timeout", type=float, default=600, metavar="SECONDS", help="longest wait for each check (600)")
    options = parser.parse_args(arguments)
    try:
        stack = Stack.here()
        if options.up:
            stack.compose("up", "--detach")
    except Failure as failure:
        print(f"FAIL {failure}")
        return 1
    passed = [_passes(check, stack, options.timeout) for check in checks.ALL]
    return 0 if all(passed) else 1


def _passes(check: Callable[[Stack], str], stack: Stack, timeout_s: float) -> bool:
    try:
        print(f"ok   {patiently(lambda: check(stack), timeout_s)}", flush=True)
    except Failure as failure:
        print(f"FAIL {check.__name__.replace('_', ' ')}: {failure}", flush=True)
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
